"""Evaluating a trained run on fixed starts; what comes out are records."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records, rollout
from dp_bench.evaluation.records import Record
from dp_bench.policies.actor import Actor
from dp_bench.runs.folder import (
    RunFolder,
    RunInfo,
    build_policy,
    commit,
    load_tensors,
    versions,
)
from dp_bench.task import TEST_STARTS, VALIDATION_STARTS
from dp_bench.util import settings
from dp_bench.util.files import locked

STARTS = {"test": TEST_STARTS, "validation": VALIDATION_STARTS}


def evaluate(
    folder: RunFolder,
    *,
    starts: str = "test",
    episodes: int | None = None,
    variants: Sequence[str] | None = None,
    step: int | None = None,
    changes: Mapping[str, str] | None = None,
    processes: int | None = None,
    device: str = "cpu",
) -> list[Record]:
    """Plays the starts that have no record yet, and records them.

    Args:
        folder: A trained run.
        starts: "test", or "validation" for choosing settings.
        episodes: Only the first so many starts; None for all.
        variants: Of the task's environment; None for all.
        step: Which of the weights kept on the way; None for those at the end.
        changes: Fields of the policy to change, sampler settings say, as text.
        processes: Worker processes; None for as many as cores. Does not move numbers.
        device: Where the policy computes.

    Returns:
        Records of exactly these starts, old and new.

    Raises:
        BadInput: For names that are not known, or a run that has not been trained.
    """
    if starts not in STARTS:
        raise BadInput(f"no starts {starts!r}; there are {', '.join(STARTS)}")
    if episodes is not None and not 1 <= episodes <= len(STARTS[starts]):
        raise BadInput(
            f"there are {len(STARTS[starts])} {starts} starts, and {episodes} asked for"
        )
    info = changed(folder.info(), changes or {})
    task = registry.task(info.task)
    env_seeds = STARTS[starts][:episodes]
    weights = folder.weights if step is None else folder.kept(step)
    policy = folder.load_policy(step, info=info)  # refuses early
    _, facts = load_tensors(weights)
    found: list[Record] = []
    with locked(folder.path / ".records.lock"):
        old = records.read(folder.records) if folder.records.is_file() else []
        for variant in variants or task.variants:
            task.check(variant=variant)
            common = {
                "task": info.task,
                "obs_kind": info.obs_kind,
                "control": info.control,
                "method": info.method,
                "preset": info.preset,
                "settings": info.settings,
                "demos_digest": info.demos_digest,
                "split_digest": info.split_digest,
                "order_digest": info.order_digest,
                "train_seed": info.train_seed,
                "step": int(facts["update"]),
                "starts": starts,
                "variant": variant,
            }
            known = {
                r.env_seed: r
                for r in old
                if all(getattr(r, name) == value for name, value in common.items())
            }
            groups = rollout.groups_of(env_seeds, task.lanes)
            missing = [g for g in groups if any(seed not in known for seed in g)]

            def keep(
                group: list[rollout.Episode],
                known: dict[int, Record] = known,
                common: dict[str, Any] = common,
            ) -> None:
                new = [
                    Record(
                        **common,
                        env_seed=episode.env_seed,
                        score=episode.outcome.score,
                        success=episode.outcome.success,
                        sub_scores=episode.outcome.sub_scores,
                        length=episode.length,
                        decision_latency=episode.decision_latency,
                        parameters=policy.num_parameters,
                        train_seconds=facts["seconds"],
                        commit=commit(),
                        versions=versions(),
                    )
                    for episode in group
                    if episode.env_seed not in known
                ]
                records.append(folder.records, new)
                known.update({r.env_seed: r for r in new})

            if missing:
                rollout.play(
                    rollout.Play(
                        functools.partial(load_actor, folder.path, step, info, device),
                        functools.partial(
                            make_env,
                            info.task,
                            info.obs_kind,
                            info.control,
                            variant,
                            info.demos_source,
                        ),
                        task.score,
                    ),
                    missing,
                    processes=processes,
                    title=f"{info.method} seed {info.train_seed}, "
                    f"{variant} {starts} starts",
                    done=keep,
                )
            found += [known[seed] for seed in env_seeds]
    return found


def changed(info: RunInfo, changes: Mapping[str, str]) -> RunInfo:
    """A run with other settings of its sampler, by name as `dp-bench eval --set`."""
    if not changes:
        return info
    config = build_policy(info).config
    named = {name.removeprefix("policy."): text for name, text in changes.items()}
    config = settings.override_all(config, named)
    data = settings.to_json(config)
    return dataclasses.replace(info, policy=data, preset="custom")


def load_actor(path: Path, step: int | None, info: RunInfo, device: str) -> Actor:
    """Builds the policy of `info` with the weights of a run."""
    return RunFolder(path).load_policy(step, device, info)


def make_env(
    task: str, obs_kind: str, control: str, variant: str, source: str | None = None
) -> Any:
    """Makes the environment of a task by name."""
    found = registry.task(task)
    return found.make_env(
        obs_kind=obs_kind, control=control, variant=variant, source=source
    )
