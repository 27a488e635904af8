"""Contract tests of what a task observes; each takes the task's name."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.task import MotionColumns, Task
from dp_bench.util.types import Env

SEED = 3  # of the episode that several checks play


def task_observations_change(name: str) -> None:
    """Random actions change every observed number that `constant_obs` does not name.

    In an observation that is a dictionary, these are the numbers of its vectors, which
    `constant_obs` names by their keys. Images are left out.
    """
    task = registry.task(name)
    for obs_kind in task.obs_kinds:
        env = _without_images(task.make_env(obs_kind=obs_kind))
        rows: dict[str, list[np.ndarray]] = {}
        env.action_space.seed(0)
        for seed in range(3):
            _add_vectors(rows, obs_kind, env.reset(seed=seed)[0])
            for _ in range(10):
                obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
                _add_vectors(rows, obs_kind, obs)
                if terminated or truncated:
                    break
        env.close()
        for key, numbers in rows.items():
            constant = set(np.flatnonzero(np.ptp(numbers, axis=0) == 0).tolist())
            unexplained = sorted(constant - set(task.constant_obs.get(key, {})))
            assert not unexplained, (
                f"the numbers {unexplained} of {key!r} are constant; if they should "
                f"be, name them in constant_obs"
            )


def _add_vectors(rows: dict[str, list[np.ndarray]], obs_kind: str, obs: Any) -> None:
    """Adds the vectors of an observation to lists by key."""
    for key, array in (obs if isinstance(obs, Mapping) else {obs_kind: obs}).items():
        if np.ndim(array) == 1:
            rows.setdefault(key, []).append(np.asarray(array))


def task_observes_the_keys_that_it_declares(name: str) -> None:
    """Every kind in `obs_keys` is a dictionary with these images and vectors."""
    task = registry.task(name)
    for obs_kind, keys in task.obs_keys.items():
        assert obs_kind in task.obs_kinds, f"obs_keys names an unknown {obs_kind!r}"
        env = _without_images(task.make_env(obs_kind=obs_kind))
        where = f"{obs_kind!r} of the environment"
        spec = ObsSpec.of_space(env.observation_space, keys, where)
        obs, _ = env.reset(seed=0)
        assert isinstance(obs, Mapping), f"{where} is no dictionary"
        spec.check(obs, 0, where)
        assert obs_kind not in task.image_kinds or spec.images, (
            f"{where} holds no image, and image_kinds says that it does"
        )
        env.close()


def task_motions_follow_actions(name: str) -> None:
    """Positions in `motions` move in the direction of the action columns.

    Random actions are held for some steps each. The paths of each position must agree
    with them in direction.
    """
    task = registry.task(name)
    for obs_kind, motion in task.motions.items():
        assert obs_kind in task.obs_kinds, f"motions names an unknown {obs_kind!r}"
        keys = task.obs_keys.get(obs_kind, ())
        widths = {stop - start for start, stop in (*motion.positions, motion.actions)}
        assert len(widths) == 1 < min(widths), (
            f"{obs_kind!r}: positions and the action that moves them must have "
            f"equally many columns, at least two; got {motion}"
        )
        for control in task.controls:
            env = _without_images(task.make_env(obs_kind=obs_kind, control=control))
            absolute = control in motion.absolute
            before, after, actions = _held_actions(env, keys, motion, absolute)
            env.close()
            if absolute:
                actions = actions - before[:, slice(*motion.positions[0])]
            for start, stop in motion.positions:
                paths = (after - before)[:, start:stop]
                norms = np.linalg.norm(paths) * np.linalg.norm(actions)
                agreement = float((paths * actions).sum() / norms)
                assert agreement > 0.3, (
                    f"columns {start} to {stop - 1} of {obs_kind!r} do not follow the "
                    f"actions of control {control!r}: cosine similarity {agreement:.2f}"
                )


def _held_actions(
    env: Env, keys: Sequence[str], motion: MotionColumns, absolute: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Holds random actions for five steps each.

    Returns:
        The observed numbers before and after each, `(A, Do)`, and the columns of the
        actions that move the position, `(A, P)`.
    """
    env.action_space.seed(0)
    columns = slice(*motion.actions)

    def numbers(obs: Any) -> np.ndarray:
        if not isinstance(obs, Mapping):
            return np.asarray(obs, np.float64)
        vectors = [obs[key] for key in keys if np.ndim(obs[key]) == 1]
        return np.concatenate(vectors).astype(np.float64)

    rows, actions = [numbers(env.reset(seed=SEED)[0])], []
    for _ in range(12):
        action = env.action_space.sample()
        if not absolute:  # so that the hand does not turn, say
            action = np.zeros_like(action)
            action[columns] = env.action_space.sample()[columns]
        for _ in range(5):
            obs, *_ = env.step(action)
        rows.append(numbers(obs))
        actions.append(np.asarray(action[columns], np.float64))
    return np.array(rows[:-1]), np.array(rows[1:]), np.array(actions)


def task_columns_are_the_vectors_that_it_observes(name: str) -> None:
    """`obs_columns` says where other observations hold a vector of a dictionary.

    One episode is played in both kinds of observation.
    """
    task = registry.task(name)

    @functools.cache
    def observed(kind: str) -> list[Any]:
        return [obs for obs, *_ in _some_steps(task, kind)]

    for obs_kind, keys in task.obs_keys.items():
        for key in keys:
            if key not in task.obs_columns:
                continue
            other, start, stop = task.obs_columns[key]
            pairs = zip(observed(obs_kind), observed(other), strict=True)
            for i, (vector, whole) in enumerate(pairs):
                assert np.array_equal(vector[key], whole[start:stop]), (
                    f"{key!r} of {obs_kind!r} is {vector[key]} at step {i}, and "
                    f"columns {start} to {stop} of {other!r} are {whole[start:stop]}"
                )


def task_images_follow_from_states(name: str) -> None:
    """`images(state)` draws what was observed; without drawing, images are zeros.

    An environment that leaves its images blank shows the same vectors, states and
    rewards. What needs OpenGL is skipped with a warning where there is none.
    """
    task = registry.task(name)
    for obs_kind in task.obs_keys:
        env = task.make_env(obs_kind=obs_kind)
        draw = getattr(env.unwrapped, "images", None)
        if draw is None or obs_kind not in task.image_kinds:
            env.close()
            continue
        try:
            drawn = _some_steps(task, obs_kind, draws=True)
            env.reset(seed=SEED)
            again = [draw(info["state"]) for *_, info in drawn]
        except BadInput as error:
            warnings.warn(f"{obs_kind!r} is not checked: {error}", stacklevel=2)
            env.close()
            continue
        blank = _some_steps(task, obs_kind)
        for i, (one, other) in enumerate(zip(drawn, blank, strict=True)):
            assert one[1] == other[1], f"blank images change the reward at step {i}"
            for key, array in one[0].items():
                what = f"{key!r} of {obs_kind!r} at step {i}"
                if array.ndim == 3:
                    assert array.any(), f"{what} is blank, and should be drawn"
                    assert not other[0][key].any(), f"{what} should be blank"
                    assert np.array_equal(array, again[i][key]), (
                        f"{what} is not what images(state) draws"
                    )
                else:
                    assert np.array_equal(array, other[0][key]), (
                        f"{what} depends on whether images are drawn"
                    )
        env.close()


def _some_steps(
    task: Task, obs_kind: str, *, draws: bool = False
) -> list[tuple[Any, float, Mapping[str, Any]]]:
    """Plays a few random actions; lists observations, rewards and infos."""
    env = task.make_env(obs_kind=obs_kind)
    env = env if draws else _without_images(env)
    obs, info = env.reset(seed=SEED)
    env.action_space.seed(0)
    steps: list[tuple[Any, float, Mapping[str, Any]]] = [(obs, 0.0, info)]
    for _ in range(4):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        steps.append((obs, float(reward), info))
        if terminated or truncated:
            break
    env.close()
    return steps


def _without_images(env: Env) -> Env:
    """Lets an environment leave its images blank, if it can."""
    bare: Any = env.unwrapped
    if hasattr(bare, "draws_images"):
        bare.draws_images = False
    return env
