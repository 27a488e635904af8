"""The base class of environments: its arguments, checks and render modes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from dp_bench.envs.base import RENDER_MODES, TaskEnv, finite_vector
from dp_bench.errors import BadInput

PLANE = spaces.Box(np.float32([0, -1]), np.float32([2, 1]))


class Plain(TaskEnv[np.ndarray]):
    metadata = {"render_modes": RENDER_MODES, "render_fps": 10}  # noqa: RUF012
    offered_controls = ("push",)
    action_holds = "x, y"
    action_space = PLANE

    def __init__(self, obs="state", control="push", render_mode=None):
        super().__init__(obs, control, render_mode)

    def _render_scene(self):
        return np.full((2, 3, 3), 7, np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"obs": "image"}, "Plain has no observation 'image'; it has state"),
        ({"control": "pull"}, "Plain has no control mode 'pull'; it has push"),
        (
            {"render_mode": "ansi"},
            "Plain has no render mode 'ansi'; it has rgb_array, human",
        ),
    ],
)
def test_an_unknown_argument_is_refused_with_the_choices(arguments, message):
    with pytest.raises(BadInput) as refused:
        Plain(**arguments)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("seed", "options", "message"),
    [
        (-1, None, "seed -1 must be in [0, 2**32 - 1]"),
        (2**32, None, "seed 4294967296 must be in [0, 2**32 - 1]"),
        (0, {"place": 1}, "Plain has no reset option 'place'; it has 'state'"),
    ],
)
def test_reset_refuses_what_it_cannot_use(seed, options, message):
    with pytest.raises(BadInput) as refused:
        Plain()._begin_episode(seed, options)
    assert str(refused.value) == message


def test_a_seed_sets_the_generator_and_none_keeps_it():
    env = Plain()
    env._begin_episode(3, None)
    first = env.np_random.random(2)
    env._begin_episode(None, None)
    assert env.np_random.random() not in first
    env._begin_episode(3, None)
    np.testing.assert_array_equal(env.np_random.random(2), first)


def test_an_action_that_is_not_finite_is_refused_with_the_limits():
    with pytest.raises(BadInput) as refused:
        Plain()._checked_action([np.nan, 0])
    assert str(refused.value) == "action [nan, 0.0] must be finite, in [0, 2] x [-1, 1]"
    same = spaces.Box(-1, 1, (2,))
    with pytest.raises(BadInput, match=r"must be finite, in \[-1, 1\]$"):
        finite_vector("action", [0, np.inf], 2, "x, y", same)


def test_a_vector_of_another_shape_is_refused_with_its_meaning():
    with pytest.raises(BadInput) as refused:
        finite_vector("state", [1.0], 2, "x, y")
    assert str(refused.value) == "state [1.0] must hold x, y: shape (2,), not (1,)"
    assert finite_vector("state", [1, 2], 2, "x, y").dtype == np.float64


def test_rendering_returns_the_image_or_warns_without_a_mode(monkeypatch):
    assert (Plain(render_mode="rgb_array").render() == 7).all()
    warnings = []
    monkeypatch.setattr(gym.logger, "warn", warnings.append)
    assert Plain().render() is None
    assert "render_mode" in warnings[0]
