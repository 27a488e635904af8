"""Contract tests of a task; each takes the task's name."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.rollout import play_group
from dp_bench.horizons import Horizons
from dp_bench.testing.observations import (
    task_columns_are_the_vectors_that_it_observes,
    task_images_follow_from_states,
    task_motions_follow_actions,
    task_observations_change,
    task_observes_the_keys_that_it_declares,
)
from dp_bench.util.types import Env


def task_is_a_gymnasium_environment(name: str) -> None:
    """Gymnasium's own checker passes without a warning, for every observation.

    Observations have the dimensions that the task declares.

    Some observations need what this machine lacks, such as OpenGL for cameras. Such an
    observation is skipped with a warning, unless it is the task's default.
    """
    from gymnasium.utils.env_checker import check_env

    task = registry.task(name)
    for obs_kind in task.obs_kinds:
        env = task.make_env(obs_kind=obs_kind)
        try:
            env.reset(seed=0)
        except BadInput as error:
            if obs_kind == task.obs_kinds[0]:
                raise
            warnings.warn(f"{obs_kind!r} is not checked: {error}", stacklevel=2)
            env.close()
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Actions are in units of the environment, as in the demonstrations.
            warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
            check_env(env.unwrapped, skip_render_check=True)
        declared, shape = task.obs_dims.get(obs_kind), env.observation_space.shape
        assert declared is None or shape == (declared,), (
            f"{obs_kind!r} observations have shape {shape}, not {declared} numbers"
        )
        env.close()


def task_references_load(name: str) -> None:
    """Every `"module:attribute"` of the task names something that can be called."""
    for reference in _references(dataclasses.asdict(registry.task(name))):
        assert callable(references.load(reference)), f"{reference} is no function"


def _references(value: object) -> Iterator[str]:
    """Yields each `"module:attribute"` in a value and all that it holds."""
    if isinstance(value, str) and re.fullmatch(r"[\w.]+:[\w.]+", value):
        yield value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _references(part)


def task_is_reproducible(name: str) -> None:
    """One seed and one list of actions give one episode."""
    task = registry.task(name)
    env = task.make_env()
    start, again = (np.asarray(env.reset(seed=3)[0]) for _ in range(2))
    assert np.array_equal(start, again), "seed 3 gave two different starts"
    episodes = []
    for _ in range(2):
        env.reset(seed=3)
        env.action_space.seed(0)
        episodes.append([env.step(env.action_space.sample()) for _ in range(20)])
    for i, (one, other) in enumerate(zip(*episodes, strict=True)):
        assert np.array_equal(one[0], other[0]), (
            f"after the same seed and actions, observations differ at step {i}"
        )
        assert one[1] == other[1], (
            f"after the same seed and actions, rewards differ at step {i}"
        )
    env.close()


def task_copies_continue_identically(name: str) -> None:
    """Deep and pickled copies continue as the original does, in the next episode too.

    They are made within an episode, where the physics has moved.
    """
    env = registry.task(name).make_env()
    env.reset(seed=3)
    env.action_space.seed(0)
    for _ in range(4):
        env.step(env.action_space.sample())
    copies = {
        "deep copy": copy.deepcopy(env),
        "pickled copy": pickle.loads(pickle.dumps(env)),
    }
    actions = [env.action_space.sample() for _ in range(6)]
    originals = _continued(env, actions)
    env.close()
    for kind, other in copies.items():
        steps = zip(originals, _continued(other, actions), strict=True)
        differences = [
            i for i, (one, same) in enumerate(steps) if not np.array_equal(one, same)
        ]
        assert not differences, (
            f"a {kind} of the environment differs from the original at step "
            f"{differences[0]} after it was made"
        )
        other.close()


def _continued(env: Env, actions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Plays on, then begins an episode without a seed; lists all that was seen."""
    seen = []
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(action)
        seen.append(np.append(obs, [reward, terminated, truncated]))
        if terminated or truncated:
            break
    return [*seen, np.asarray(env.reset()[0])]


def task_starts_differ(name: str) -> None:
    """Env seeds give different starts, unless the task says why they do not.

    Compares the positions in `info["state"]`, or the first observations where `info`
    holds no state.
    """
    task = registry.task(name)
    env = task.make_env()
    starts = []
    for seed in (3, 4, 5):
        obs, info = env.reset(seed=seed)
        starts.append(np.asarray(info.get("state", obs))[: task.positions])
    env.close()
    pairs = itertools.combinations(starts, 2)
    if task.fixed_start:
        assert all(np.array_equal(*pair) for pair in pairs), (
            f"starts differ, but fixed_start says: {task.fixed_start}"
        )
    else:
        assert not any(np.array_equal(*pair) for pair in pairs), (
            "two seeds gave the same start; if they should, say why in fixed_start"
        )


def task_observations_are_not_overwritten(name: str) -> None:
    """An observation is not a view into memory that the next step changes."""
    env = registry.task(name).make_env()
    first, _ = env.reset(seed=0)
    copy = np.array(first)
    env.action_space.seed(0)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert np.array_equal(copy, first), "step() changed an earlier observation"
    env.close()


def task_scores_an_episode(name: str) -> None:
    """The score is in [0, 1], and the sub-scores fill the columns of the task's table.

    Columns of choices are exempt: the robot may have chosen nothing. An episode that
    ends in success has succeeded, where the score says so.
    """
    task = registry.task(name)
    env = task.make_env()
    actor = _StandsStill(np.zeros(env.action_space.shape or (), np.float32))
    (episode,) = play_group(actor, [env], [0], references.load(task.score))
    score, *_, once, at_end = episode.outcome
    assert 0 <= score <= 1, f"the score must be in [0, 1], got {score}"
    for key, value in (("success_once", once), ("success_at_end", at_end)):
        assert value in (None, False, True), f"{key} must be a bool or None: {value!r}"
    assert once or not at_end, (
        "success_at_end is true, so success_once must be true, too"
    )
    columns = {c.key for c in task.columns if c.averaged}
    missing = columns - set(episode.outcome.sub_scores)
    assert not missing, f"the sub-scores lack the columns {sorted(missing)}"
    assert 1 <= episode.length <= task.max_steps, (
        f"an episode has 1 to {task.max_steps} steps, got {episode.length}"
    )
    env.close()


def task_obs_noise_has_the_right_shape(name: str) -> None:
    """The observation noise fits the task's observations and actions."""
    task = registry.task(name)
    for kind in task.obs_kinds:
        for control in task.controls:
            obs_noise = task.obs_noise_of(kind, control)
            if obs_noise is None:
                continue
            env = task.make_env(obs_kind=kind, control=control)
            obs_shape, action_shape = (
                env.observation_space.shape,
                env.action_space.shape,
            )
            env.close()
            assert obs_shape is not None
            assert action_shape is not None
            noise, follows = np.asarray(obs_noise.noise), np.asarray(obs_noise.follows)
            assert noise.shape == obs_shape, (
                f"the noise of {kind!r} must have shape {obs_shape}, got {noise.shape}"
            )
            shape = (*action_shape, *obs_shape)
            assert follows.shape == shape, (
                f"`follows` of {kind!r} must have shape {shape}, got {follows.shape}"
            )
            assert (noise >= 0).all(), f"the noise of {kind!r} is below 0"
            assert np.isfinite(follows).all(), f"`follows` of {kind!r} is not finite"


class _StandsStill:
    """An actor that always sends the same action."""

    horizons = Horizons(1, 1, 1)

    def __init__(self, action: np.ndarray) -> None:
        self.action = action

    def reset(self, env_seeds: Sequence[int]) -> None:
        pass

    def restart(self, lane: int, env_seed: int) -> None:
        pass

    def act(self, obs: np.ndarray, lanes: Sequence[int] | None = None) -> np.ndarray:
        return np.tile(self.action, (len(obs), 1, 1))


TASK_CHECKS = (
    task_is_a_gymnasium_environment,
    task_references_load,
    task_is_reproducible,
    task_copies_continue_identically,
    task_starts_differ,
    task_observes_the_keys_that_it_declares,
    task_columns_are_the_vectors_that_it_observes,
    task_images_follow_from_states,
    task_observations_change,
    task_observations_are_not_overwritten,
    task_scores_an_episode,
    task_obs_noise_has_the_right_shape,
    task_motions_follow_actions,
)
