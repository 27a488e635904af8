"""Plays the plan of a script, and records the episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dp_bench.data.demos import Demonstration
from dp_bench.data.recording import EpisodeRecorder

from ..base import Robomimic
from ..env import shared_env
from .follower import Follower
from .moves import Move
from .scene import Scene

STREAM = 1  # of a seed's generators: this one is the script's, the other the start's
REST = 20  # steps that are played after the end of all plans

Plan = Callable[
    [Scene, np.random.Generator],
    "Iterator[Move] | tuple[Iterator[Move], ...]",  # one for each arm
]


def play(
    task: type[Robomimic], plan: Plan, env_seed: int, max_steps: int
) -> Demonstration | None:
    """Follows a plan until the task is solved; None if it is not.

    Args:
        task: Class of the environment.
        plan: The moves of the arm, or of each arm.
        env_seed: Seed of the start, and of everything that the plan draws.
        max_steps: Steps of an episode.
    """
    env = shared_env(task)
    recorder = EpisodeRecorder(env, env_seed, obs_kind="state")
    scene = Scene(env)
    plans = plan(scene, np.random.default_rng([env_seed, STREAM]))
    if not isinstance(plans, tuple):
        plans = (plans,)
    followers = [Follower(scene, arm, moves) for arm, moves in enumerate(plans)]
    model, rested = env.model(), 0
    while not recorder.terminated and len(recorder) < max_steps and rested < REST:
        action = np.concatenate([follower.act() for follower in followers])
        action = action.astype(np.float32)
        recorder.step(action, position=env.target(action))
        rested += all(follower.done for follower in followers)
    if not recorder.terminated:
        return None
    return recorder.demonstration(
        1.0, {"env_seed": env_seed}, model=model, with_last_obs=True
    )
