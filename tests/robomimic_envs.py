"""Environments and actions of Robomimic that several test files use."""

import h5py
import numpy as np
import pytest

from dp_bench.data import hdf5
from dp_bench.data.demos import Demonstration, joined
from dp_bench.envs.robomimic.base import Robomimic
from dp_bench.envs.robomimic.env import Can, Lift, Square, ToolHang, Transport

TASKS = {
    "lift": Lift,
    "can": Can,
    "square": Square,
    "transport": Transport,
    "tool_hang": ToolHang,
}
each_task = pytest.mark.parametrize("name", TASKS)
_envs: dict[tuple[str, str], Robomimic] = {}


def env_of(name, control="velocity"):
    """Returns one environment for all tests. Making one takes a second."""
    if (name, control) not in _envs:
        _envs[name, control] = TASKS[name](control=control)
    return _envs[name, control]


def some_actions(env, count, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]


def recorded_moves():
    """Plays three short episodes of Lift with random actions."""
    env = env_of("lift")
    episodes = []
    for seed in range(3):
        obs, info = env.reset(seed=seed)
        model, observed, states, targets = env.model(), [], [], []
        actions = some_actions(env, 6, seed)
        for action in actions:
            observed.append(obs)
            states.append(info["state"])
            targets.append(env.target(action))
            obs, _, _, _, info = env.step(action)
        episodes.append(
            Demonstration(
                obs={"state": np.array(observed)},
                actions=np.array(actions),
                states=np.array(states),
                rewards=np.arange(6) == 5,
                score=1.0,
                notes={"env_seed": seed},
                actions_as={"position": np.array(targets, np.float32)},
                last_obs={"state": obs},
                model=model,
            )
        )
    kwargs = {"obs": "state", "control": "velocity"}
    return joined("lift", "scripted", episodes, kwargs)


def write_as_robomimic(demos, path):
    """Writes demonstrations without anything that only dp-bench writes."""
    hdf5.save(demos, path)
    with h5py.File(path, "r+") as file:
        data = file["data"]
        for name in [n for n in data.attrs if n not in ("total", "env_args")]:
            del data.attrs[name]
        for demo in data.values():
            states = demo["states"][:, :-1]
            del demo["states"]
            demo["states"] = states
            del demo["actions_as_position"]
        file["mask/better"] = np.array(["demo_2", "demo_0"], dtype="S8")
    return path
