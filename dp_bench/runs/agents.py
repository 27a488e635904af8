"""Loading the policy of a run as an agent."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor
from dp_bench.policies.agent import Agent
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.info import RunInfo

# Arguments of environments that follow from the run.
GIVEN_BY_RUN = ("obs", "obs_kind", "control", "source")


class RunAgent(Agent):
    """The agent of a run, which can make the environment it was trained for.

    Args:
        actor: The policy of the run.
        info: What `run.json` says.
    """

    def __init__(self, actor: Actor, info: RunInfo) -> None:
        super().__init__(actor)
        self.info = info
        self.control = info.control

    def __repr__(self) -> str:
        info = self.info
        return (
            f"<Agent {info.method} on {info.task}, {info.obs_kind} observations, "
            f"{info.control} control, train seed {info.train_seed}>"
        )

    def make_env(self, **kwargs: object) -> gym.Env:
        """Makes the environment with the task, observation and control of the run.

        Args:
            **kwargs: Further arguments of the environment, `render_mode` or the name
                of a `variant`, say.

        Raises:
            BadInput: When an argument contradicts the run.
        """
        for name in GIVEN_BY_RUN:
            if name in kwargs:
                raise BadInput(
                    f"agent.make_env takes no {name!r}: the run decides "
                    f"({self.info.obs_kind} observations, {self.info.control} control)"
                )
        return registry.task(self.info.task).make_env(
            obs_kind=self.info.obs_kind,
            control=self.info.control,
            source=self.info.demos_source,
            **kwargs,  # type: ignore[arg-type]  # `variant` is among them
        )


def load_agent(
    run_folder: str | Path, *, step: int | None = None, device: str = "cpu"
) -> RunAgent:
    """Loads a trained policy for use in any Gymnasium loop.

    Args:
        run_folder: A folder that `dp-bench train` or `dp-bench compare` made.
        step: Number of updates after which the weights were kept; None for the final
            weights.
        device: Device on which the policy computes.

    Returns:
        The agent. `agent.make_env()` makes its environment; call `reset(env_seed)`
        before `act(obs)`.

    Raises:
        BadInput: When the folder is no run folder, or the weights are missing.
    """
    folder = RunFolder(run_folder)
    info = folder.info()
    return RunAgent(folder.load_policy(step, device, info), info)
