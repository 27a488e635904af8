"""Evaluating a trained run from fixed starts, with one record per episode."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records, rollout
from dp_bench.evaluation.records import Record
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.policies.actor import Actor
from dp_bench.runs.folder import RunFolder, policy_config
from dp_bench.runs.info import RunInfo
from dp_bench.runs.provenance import commit, versions
from dp_bench.runs.trained import Trained
from dp_bench.task import Task
from dp_bench.util import progress, settings
from dp_bench.util.files import locked, locked_to_write, remove_stale_parts
from dp_bench.util.shard import WHOLE, Shard
from dp_bench.util.tensors import digest_of
from dp_bench.util.types import JsonObject

WORTH_PROCESSES = 1500  # steps; fewer take less time than the start of a process


def evaluate(
    folder: RunFolder,
    *,
    task: Task | None = None,
    starts: str = "test",
    episodes: int | None = None,
    variants: Sequence[str] | None = None,
    step: int | None = None,
    changes: Mapping[str, str] | None = None,
    processes: int | None = None,
    device: str = "cpu",
    shard: Shard = WHOLE,
    offset: int = 0,
) -> list[Record]:
    """Plays the starts that have no record yet, and appends their records.

    Args:
        folder: A trained run.
        task: Its task, where the caller has looked it up.
        starts: "test", "validation" for choosing settings, or "decision" for starts
            that no training of another train seed meets.
        episodes: Play the first `episodes` starts: up to 1,000 test starts; None for
            the 50 of the protocol, or for all validation starts.
        variants: Variants of the task's environment; None for all.
        step: Evaluate the weights kept after `step` updates; None for the last weights.
        changes: Fields of the policy's settings to change (the sampler's, say), as
            text.
        processes: Number of worker processes; None for one per CPU core, or for a
            single one where the episodes are few. Results do not depend on it.
        device: Device that computes the policy.
        shard: Play only these groups of lanes; other processes play the others.
        offset: Number of evaluations before this one, so that small ones are shared
            among all parts.

    Returns:
        The records of exactly these starts, old and new. A shard returns those that
        are there when it has ended.

    Raises:
        BadInput: When a name is unknown, or when the run has no such weights.
    """
    info = changed(folder.info(), changes or {})
    env_seeds = env_seeds_of(starts, episodes, train_seed=info.train_seed)
    task = task or registry.task(info.task)
    chosen = list(variants or task.variants)
    for variant in chosen:
        task.check(variant=variant)
    weights = _weights_of(folder, info, step)
    groups = _groups_of(env_seeds, len(env_seeds_of(starts)), task.lanes)
    evaluations = [_Evaluation(weights, task, starts, v, device) for v in chosen]
    parts = [
        [
            group
            for k, group in enumerate(groups)
            if shard.has(offset + v * len(groups) + k)
        ]
        for v in range(len(evaluations))
    ]
    pairs = list(zip(evaluations, parts, strict=True))
    needed = any(_missing(part, evaluation.known()) for evaluation, part in pairs)
    own = ".records.lock" if shard.is_all else f".records-{shard.name}.lock"
    evaluated: list[Record] = []
    with locked_to_write(folder.path / own, needed=needed):
        remove_stale_parts(folder.path)
        for evaluation, part in pairs:
            known = evaluation.known()
            missing = _missing(part, known)
            if missing:
                evaluation.play(missing, known, processes)
        for evaluation in evaluations:
            known = evaluation.known()
            evaluated += [known[seed] for seed in env_seeds if seed in known]
    return evaluated


def keep(folder: RunFolder, variant: str, episodes: Sequence[rollout.Episode]) -> None:
    """Appends the records of test starts that were played elsewhere with a run.

    Args:
        folder: A trained run, whose last weights played.
        variant: Variant of the task's environment.
        episodes: Those that have a record already keep it.
    """
    info = folder.info()
    weights = _weights_of(folder, info, None)
    evaluation = _Evaluation(weights, registry.task(info.task), "test", variant, "cpu")
    if any(episode.env_seed not in evaluation.known() for episode in episodes):
        evaluation.keep(episodes, evaluation.known())


def _missing(
    groups: Iterable[tuple[int, ...]], known: Mapping[int, Record]
) -> list[tuple[int, ...]]:
    """Lists the groups of env seeds with an episode that has no record."""
    return [group for group in groups if any(seed not in known for seed in group)]


def _groups_of(
    env_seeds: Sequence[int], usual: int, lanes: int
) -> list[tuple[int, ...]]:
    """Cuts starts into groups of lanes; those beyond the usual ones have their own.

    Lanes of a group share a batch, so a fuller group could change the last digits of
    the records of the protocol.
    """
    parts = (env_seeds[:usual], env_seeds[usual:])
    return [group for part in parts for group in rollout.groups_of(part, lanes)]


@dataclass(frozen=True)
class _Weights:
    """Weights of a run, and the facts about them that every record states.

    Attributes:
        folder: The run.
        info: Its settings, with the caller's changes.
        step: Number of updates after which the weights were kept; None for the last.
        updates: Number of updates that made the weights.
        train_seconds: Wall-clock time of the training so far [s].
        parameters: Number of trained parameters.
        trained: How they were trained, and their digest.
    """

    folder: RunFolder
    info: RunInfo
    step: int | None
    updates: int
    train_seconds: float
    parameters: int
    trained: Trained


def _weights_of(folder: RunFolder, info: RunInfo, step: int | None) -> _Weights:
    """Loads weights once in this process, so that bad ones are refused early."""
    policy, facts = folder.load(step, info=info)
    return _Weights(
        folder,
        info,
        step,
        updates=facts.update,
        train_seconds=facts.seconds,
        parameters=policy.num_parameters,
        trained=dataclasses.replace(
            folder.trained().until(facts.update),
            weights=digest_of(policy.state_dict()),
        ),
    )


@dataclass(frozen=True)
class _Evaluation:
    """Weights, and the kind of starts and the variant they are evaluated on."""

    weights: _Weights
    task: Task
    starts: str
    variant: str
    device: str

    @functools.cached_property
    def conditions(self) -> JsonObject:
        """Fields that the records of this evaluation share, and no others have."""
        return {
            **dataclasses.asdict(self.weights.info.identity),
            "step": self.weights.updates,
            "starts": self.starts,
            "variant": self.variant,
        }

    def covers(self, record: Record) -> bool:
        """Tells whether a record belongs to this evaluation."""
        return all(getattr(record, k) == v for k, v in self.conditions.items())

    def known(self) -> dict[int, Record]:
        """Reads the records that the run has of this evaluation, by env seed."""
        file = self.weights.folder.records
        earlier = records.read(file) if file.is_file() else []
        return {r.env_seed: r for r in earlier if self.covers(r)}

    def play(
        self,
        groups: Sequence[tuple[int, ...]],
        known: dict[int, Record],
        processes: int | None,
    ) -> None:
        """Plays groups of env seeds, and appends records to the run and to `known`.

        A group is played as a whole, because lanes share a batch; an episode that has
        a record keeps it.
        """
        info = self.weights.info
        title = f"{info.method} seed {info.train_seed}, {self.variant} {self.starts}"
        title += " starts"
        if known:
            progress.note(f"{title}: {len(known)} were played before, the rest follows")
        rollout.play(
            self.spec(),
            groups,
            processes=processes or self.processes(groups),
            title=title,
            on_group=lambda group: self.keep(group, known),
        )

    def keep(
        self, episodes: Sequence[rollout.Episode], known: dict[int, Record]
    ) -> None:
        """Appends the records of episodes to the run and to `known`."""
        file = self.weights.folder.records
        with locked(file.with_name(".append.lock"), wait=True):  # shards write, too
            known.update(self.known())
            new = [self.record(e) for e in episodes if e.env_seed not in known]
            records.append(file, new)
        known.update({record.env_seed: record for record in new})

    def processes(self, groups: Sequence[tuple[int, ...]]) -> int | None:
        """Returns 1 for so few steps that a second process costs more than it saves."""
        steps = self.task.max_steps_of(self.weights.info.demos_source)
        return 1 if sum(map(len, groups)) * steps < WORTH_PROCESSES else None

    def record(self, episode: rollout.Episode) -> Record:
        """Makes the record of a played episode."""
        return Record(
            **self.conditions,
            env_seed=episode.env_seed,
            score=episode.outcome.score,
            success=episode.outcome.success,
            success_once=episode.outcome.success_once,
            success_at_end=episode.outcome.success_at_end,
            sub_scores=episode.outcome.sub_scores,
            length=episode.length,
            decision_latency=episode.decision_latency,
            parameters=self.weights.parameters,
            train_seconds=self.weights.train_seconds,
            commit=commit(),
            versions=versions(),
            trained=self.weights.trained,
        )

    def spec(self) -> rollout.RolloutSpec:
        """Says how worker processes make the policy and its environments."""
        path, info, step = (
            self.weights.folder.path,
            self.weights.info,
            self.weights.step,
        )
        return rollout.RolloutSpec(
            functools.partial(load_actor, path, step, info, self.device),
            functools.partial(
                self.task.make_env,
                **info.env_choices,
                variant=self.variant,
            ),
            self.task.score,
        )


def changed(info: RunInfo, changes: Mapping[str, str]) -> RunInfo:
    """Changes settings of a run's policy, as `dp-bench eval --set` does.

    The preset of the changed run is "custom".

    Args:
        info: The run.
        changes: Values as text, by field; names may begin with "policy.".

    Raises:
        BadInput: For a setting that does not fit, or on which the training depends.
    """
    if not changes:
        return info
    config = policy_config(info)
    fields = {name.removeprefix("policy."): text for name, text in changes.items()}
    new = settings.override_all(config, fields)
    for name in getattr(config, "FIXED", ()):
        if getattr(new, name) != getattr(config, name):
            raise BadInput(
                f"policy.{name} was {getattr(config, name)} in training, so an "
                f"evaluation cannot make it {fields[name]}; train another run"
            )
    for name in getattr(config, "unused", ()):
        if name in fields:
            raise BadInput(
                f"policy.{name} changes nothing: the objective of this run does not "
                f"use it"
            )
    return dataclasses.replace(info, policy=settings.to_json(new), preset="custom")


def load_actor(path: Path, step: int | None, info: RunInfo, device: str) -> Actor:
    """Builds the policy of `info` with weights from a run folder."""
    return RunFolder(path).load_policy(step, device, info)
