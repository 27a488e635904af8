"""Timing training, evaluation and demonstrations on this machine.

A probe times some updates and some decisions of networks of the real sizes on made-up
numbers, so that it needs no demonstrations.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dp_bench import references
from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, ResolvedCell, resolve
from dp_bench.grid.demos_ahead import demonstrations_ahead
from dp_bench.grid.forecast import CellForecast
from dp_bench.grid.left import left_of
from dp_bench.grid.prepare import obs_dim_of
from dp_bench.grid.run import PROCESSES
from dp_bench.grid.timing import part_of, timed
from dp_bench.runs.folder import new_policy
from dp_bench.util.memory import keep_freed_memory
from dp_bench.util.processes import end_with_parent
from dp_bench.util.text import sentence
from dp_bench.util.threads import cores, torch_threads

if TYPE_CHECKING:
    import numpy as np

    from dp_bench.policies.base import Policy
    from dp_bench.training.batches import ObsRows, Rows
    from dp_bench.util.types import Env

UPDATE_SECONDS = 2.0  # how long a probe measures updates [s]
ROWS, EPISODE = 2000, 100  # size of the made-up demonstrations, of one episode [steps]
ROWS_WITH_IMAGES = 400


def cell_forecasts(cells: Sequence[ResolvedCell]) -> Iterator[CellForecast]:
    """Probes each method once in this process; yields one forecast for each cell."""
    begun = time.perf_counter()
    importlib.import_module("dp_bench.training.loop")  # loads torch, which takes long
    start = time.perf_counter() - begun
    costs: dict[str, _Costs] = {}
    for cell in cells:
        updates, episodes, done = left_of(cell)  # refuses one that cannot be trained
        method = cell.method.name
        if done:
            yield CellForecast(method, cell.names.train_seed, 0, 0.0, 0.0, done=done)
            continue
        if method not in costs:
            costs[method] = _measure(cell, start)
        cost = costs[method]
        yield CellForecast(
            method=method,
            train_seed=cell.names.train_seed,
            updates=updates,
            training=updates * cost.update,
            evaluation=cost.start + cost.evaluation(episodes) if episodes else 0.0,
            threads=cell.settings.training.threads,
            gpu_memory=cost.gpu_memory,
        )


class _Costs(NamedTuple):
    """Measured times.

    Attributes:
        start: Start of a process, until it can work [s].
        update: One update [s].
        group: Decisions of one group of episodes that are played side by side [s].
        episode: Simulation of one whole episode [s].
        lanes: Number of episodes in a group.
        processes: Number of processes that share the groups.
        gpu_memory: Most memory that updates took on the GPU [bytes]; 0 on the CPU.
    """

    start: float
    update: float
    group: float
    episode: float
    lanes: int
    processes: int
    gpu_memory: float = 0.0

    def evaluation(self, episodes: int) -> float:
        """Time that so many episodes take [s]."""
        groups = -(-episodes // self.lanes)
        rounds = -(-groups // self.processes)
        return rounds * (self.group + self.episode * min(self.lanes, episodes))


def _measure(cell: ResolvedCell, start: float) -> _Costs:
    """Times a network of the real size and the simulator.

    Args:
        cell: Any cell of the method.
        start: Start of a process [s].
    """
    import torch

    task = cell.task
    env = task.make_env(obs_kind=cell.obs_kind, control=cell.control)
    rows = made_up_rows(cell, env)
    with torch.random.fork_rng(devices=[]):
        policy = new_network(cell, rows)
        update = time_update(cell, policy, rows)
    memory = 0.0
    if cell.device.startswith("cuda"):
        memory = float(torch.cuda.max_memory_reserved(cell.device))
    steps = task.max_steps_of(cell.names.source)
    decisions = -(-steps // policy.horizons.action)
    decision = _time_decision(policy, _histories(policy, rows[0], task.lanes), steps)
    step, image = _time_steps(env, steps)
    looks = decisions * min(policy.horizons.obs, policy.horizons.action)
    return _Costs(
        start=start,
        update=update,
        group=decisions * decision,
        episode=steps * step + looks * image,
        lanes=task.lanes,
        processes=int(os.environ.get(PROCESSES, 0)) or cores(),
        gpu_memory=memory,
    )


def new_network(cell: ResolvedCell, rows: Rows) -> Policy:
    """Builds the policy of a cell with new weights, for demonstrations like these."""
    shown, vision = cell.demos.shown, cell.settings.vision
    return new_policy(
        references.load(cell.method.policy),
        cell.settings.policy,
        obs_dim=obs_dim_of(shown, vision, rows[0]),
        action_dim=rows[1].shape[1],
        observation=shown,
        vision=vision,
    )


def made_up_rows(cell: ResolvedCell, env: Env) -> Rows:
    """Draws demonstrations with the dimensions of an environment."""
    import numpy as np

    rng, rows = np.random.default_rng(0), ROWS
    obs: ObsRows
    if (shown := cell.demos.shown) is not None:
        rows = ROWS_WITH_IMAGES if shown.images else ROWS
        obs = {
            key: rng.integers(0, 256, (rows, *shown.shape_of(key)), np.uint8)
            if key in shown.images
            else rng.uniform(-1, 1, (rows, *shown.shape_of(key))).astype(np.float32)
            for key in shown.keys
        }
    else:
        shape = env.observation_space.shape
        if shape is None or len(shape) != 1:
            raise BadInput(
                f"{cell.obs_kind} observations of {cell.task.name} are "
                f"{env.observation_space}; list the keys of a dictionary in "
                f"Task.obs_keys, or choose observations that are one vector of numbers"
            )
        obs = rng.uniform(-1, 1, (rows, shape[0])).astype(np.float32)
    action_shape = env.action_space.shape
    if action_shape is None or len(action_shape) != 1:
        raise BadInput(
            f"actions must be one vector of numbers, and those of {cell.task.name} "
            f"are {env.action_space}"
        )
    actions = rng.uniform(-1, 1, (rows, action_shape[0])).astype(np.float32)
    return obs, actions, np.arange(EPISODE, rows + 1, EPISODE)


def _histories(
    policy: Policy, obs: ObsRows, lanes: int
) -> np.ndarray | dict[str, np.ndarray]:
    """Makes one history for each lane, `(B, To, ...)`."""
    import numpy as np

    def repeated(rows: np.ndarray) -> np.ndarray:
        return np.repeat(rows[:lanes, None], policy.horizons.obs, axis=1)

    if isinstance(obs, Mapping):
        return {key: repeated(np.asarray(rows)) for key, rows in obs.items()}
    return repeated(obs)


def time_update(
    cell: ResolvedCell, policy: Policy, data: Rows, seconds: float | None = None
) -> float:
    """Times one update on the cell's device [s]; it changes the policy.

    Args:
        cell: What is trained.
        policy: Its network.
        data: As of `made_up_rows`.
        seconds: How long to measure [s]; None for the time of a forecast.
    """
    from dp_bench.training.loop import update_seconds

    with torch_threads(cell.settings.training.threads):
        return update_seconds(
            policy,
            data,
            cell.settings.training,
            device=cell.device,
            obs_noise=cell.task.obs_noise_of(cell.obs_kind, cell.control),
            at_least=UPDATE_SECONDS if seconds is None else seconds,
            at_most=part_of(cell.settings.training.updates),
        )


def _time_decision(
    policy: Policy, history: np.ndarray | dict[str, np.ndarray], steps: int
) -> float:
    """Times one decision for all lanes [s].

    Args:
        policy: Any; evaluation computes on one thread of the CPU.
        history: `(B, To, Do)`, or by key.
        steps: Of an episode.
    """
    policy = policy.cpu().eval()
    arrays = list(history.values()) if isinstance(history, dict) else [history]
    policy.reset(range(len(arrays[0])))
    decisions = part_of(-(-steps // policy.horizons.action))
    with torch_threads(1):
        return timed(lambda: policy.act(history), decisions)


def _time_steps(env: Env, steps: int) -> tuple[float, float]:
    """Times one step without images, and the images of one step [s].

    Args:
        env: Closed afterwards.
        steps: Of an episode.
    """
    import numpy as np

    from dp_bench.evaluation.rollout import draw_images

    env.reset(seed=0)
    action = np.asarray(env.action_space.sample()) * 0
    seconds = []
    for draws in (True, False):
        draw_images(env, draws)
        seconds.append(timed(lambda: env.step(action), part_of(steps)))
    env.close()
    both, alone = seconds
    return alone, max(0.0, both - alone)


def _gpu_ahead(cell: ResolvedCell) -> dict[str, float]:
    """Measures the free memory of the cell's GPU, before anything is on it."""
    import torch

    if not cell.device.startswith("cuda"):
        return {}
    return {"free_gpu_memory": float(torch.cuda.mem_get_info(cell.device)[0])}


def _main() -> int:
    """Probes as a child process; writes forecasts as JSON lines."""

    def write(message: dict[str, float] | dict[str, object]) -> None:
        print(json.dumps(message), flush=True)

    end_with_parent()
    keep_freed_memory()  # as in training, which is faster with it
    try:
        cells = resolve([Cell.from_json(text) for text in json.loads(sys.argv[1])])
        write({**demonstrations_ahead(cells[0]), **_gpu_ahead(cells[0])})
        for made in cell_forecasts(cells):
            write(dataclasses.asdict(made))
    except (BadInput, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
