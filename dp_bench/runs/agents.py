"""Loading the policy of a run as an agent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.policies.actor import Actor
from dp_bench.policies.agent import Agent
from dp_bench.policies.autoreset import Played
from dp_bench.policies.spaces import Spaces
from dp_bench.runs import shipped
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
        env = registry.task(self.info.task).make_env(
            **self.info.env_choices,
            **kwargs,  # type: ignore[arg-type]  # `variant` is among them
        )
        self._own_spaces = Spaces.of(env)
        return env

    def reset(self, env_seed: int | Sequence[int], env: Played | None = None) -> None:
        """Begins an episode, or one in each lane of a vector environment.

        Args:
            env_seed: See `Agent.reset`.
            env: See `Agent.reset`; an environment that `make_env` made need not be
                passed.

        Raises:
            BadInput: When the environment has another task, observation or control
                than the run, or when the agent neither made nor was given one.
        """
        if env is not None:
            self._check_env(env)
        elif self._own_spaces is None:
            raise BadInput(
                f"{self!r} does not know its environment, so nothing would tell you "
                "that it is the wrong one; make it with agent.make_env(), or call "
                "agent.reset(env_seed, env); without an environment, on a robot say, "
                "play dp_bench.Agent(agent.actor)"
            )
        super().reset(env_seed, env)

    def _check_env(self, env: Played) -> None:
        """Refuses an environment of another task, observation or control mode."""
        info = self.info
        task = registry.task(info.task)
        other_ids = {other.env_id for other in registry.tasks().values()}
        other_ids.discard(task.env_id)
        for facts in _facts_of(env):
            if facts.get("id") in other_ids:
                raise BadInput(
                    f"{self!r} was given {facts['id']}; its task has {task.env_id}: "
                    "make the environment with agent.make_env()"
                )
            if facts.get("id") == task.env_id:
                defaults = {"obs": task.obs_kinds[0], "control": task.controls[0]}
                facts = defaults | facts
            for name, wanted in (("obs", info.obs_kind), ("control", info.control)):
                if facts.get(name, wanted) != wanted:
                    raise BadInput(
                        f"{self!r} was given an environment with {name}="
                        f"{facts[name]!r}; its run has {name}={wanted!r}: make the "
                        "environment with agent.make_env()"
                    )


def _facts_of(env: Played) -> Iterator[dict[str, object]]:
    """Yields what each lane's environment says of its `id`, `obs` and `control`."""
    if isinstance(env, gym.vector.VectorEnv):
        base = env.unwrapped
        if isinstance(base, gym.vector.SyncVectorEnv):
            env = base.envs
        elif isinstance(base, gym.vector.AsyncVectorEnv):
            for spec in base.get_attr("spec"):
                yield _facts_of_spec(spec)
            return
        else:
            yield _facts_of_spec(base.spec)
            return
    for one in env if isinstance(env, Sequence) else [env]:
        facts = _facts_of_spec(getattr(one, "spec", None))
        inner = getattr(one, "unwrapped", one)
        for name, attribute in (("obs", "obs_kind"), ("control", "control")):
            if isinstance(getattr(inner, attribute, None), str):
                facts[name] = getattr(inner, attribute)
        yield facts


def _facts_of_spec(spec: EnvSpec | None) -> dict[str, object]:
    return {} if spec is None else {**spec.kwargs, "id": spec.id}


def load_agent(
    run_folder: str | Path, *, step: int | None = None, device: str = "cpu"
) -> RunAgent:
    """Loads a trained policy for use in any Gymnasium loop.

    Args:
        run_folder: A folder that `dp-bench train` or `dp-bench compare` made, or the
            name of a policy of this package, "pusht/dp_c" say.
        step: Number of updates after which the weights were kept; None for the final
            weights.
        device: Device on which the policy computes: "auto", "cpu", "cuda", "cuda:1",
            ...

    Returns:
        The agent. `agent.make_env()` makes its environment; call `reset(env_seed)`
        before `act(obs)`, with the environment if another made it.

    Raises:
        BadInput: When the folder is no run folder or of a newer version, when the
            weights are missing, or when this machine lacks the device.
    """
    folder = RunFolder(shipped.folder_of(run_folder))
    info = folder.info()
    return RunAgent(folder.load_policy(step, device, info), info)
