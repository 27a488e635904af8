"""Actions, and states that several test files of Kitchen use."""

import numpy as np

from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.envs.kitchen.franka import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES


def velocities(seed, steps=30):
    """Actions that move the arm about."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0, 0.5, (steps, 9)), -1, 1).astype(np.float32)


def states_along(env, actions, **reset):
    """The states that actions lead through, the first included."""
    _, info = env.reset(**reset)
    return np.array(
        [info["state"], *(env.step(action)[-1]["state"] for action in actions)]
    )


def with_done(*names):
    """The start state, but with these elements at their goals."""
    state = Kitchen(noise=0).reset()[1]["state"]
    for name in names:
        state[OBS_ELEMENT_INDICES[name]] = OBS_ELEMENT_GOALS[name]
    return state
