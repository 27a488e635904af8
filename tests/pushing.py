"""Starts, pushes and rollouts for the tests of PushT and BlockPush."""

import math

import numpy as np

from dp_bench import registry
from dp_bench.envs.block_push.env import BlockPush
from dp_bench.envs.block_push.geometry import AIM

CENTRE = np.array([0.425, 0.0])  # of the workspace of BlockPush
TARGETS = (0.28, 0.2, 0.0, 0.52, 0.2, 0.0)
FAR = (0.65, 0.4, 0.5)  # a block out of the way


def states_along(env, state, actions):
    """Plays actions and returns all states, with the first."""
    _, info = env.reset(options={"state": state})
    return np.array(
        [info["state"], *(env.step(action)[-1]["state"] for action in actions)]
    )


def table(block=(0.4, -0.1, 0.0), second=FAR, pusher=(0.4, -0.2), places=TARGETS):
    """Returns a state of BlockPush with everything at rest."""
    state = [*block, *second, *pusher, *pusher, *places, *[0.0] * 10]
    return np.array(state)


def pushes(seed, steps=60):
    """Returns a start, and displacements that push both blocks."""
    env, rng = BlockPush(), np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    start, actions = info["state"], []
    for i in range(steps):
        state = info["state"]
        block = state[:2] if i < steps / 2 else state[3:5]
        action = 0.25 * (block - state[AIM]) + rng.normal(0, 0.01, 2)
        actions.append(np.clip(action, -0.1, 0.1).astype(np.float32))
        info = env.step(actions[-1])[-1]
    return start, actions


def turn_between(one, other):
    """Returns the smallest turn from one yaw to another, both modulo pi."""
    return (other - one + math.pi / 2) % math.pi - math.pi / 2


def pushing_actions(env, seed, steps):
    """Returns targets close to the block of PushT, which the finger often touches."""
    rng = np.random.default_rng(seed)
    block = env.unwrapped.reset(seed=seed)[1]["state"][2:4]
    return np.clip(block + rng.normal(0, 80, (steps, 2)), 0, 512).astype(np.float32)


def on_table(*points):
    """Converts points (across, along) in the frame of PushT's block to the table.

    The block lies where it does at the fork of the task. Returns positions, `(L, 2)`.
    """
    x, y, angle = registry.task("pusht").fork.start[2:]
    turned = np.array([complex(*p) for p in points]) * np.exp(1j * angle)
    return np.stack([turned.real + x, turned.imag + y], axis=1)
