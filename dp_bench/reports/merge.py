"""Merging the results of shards that ran in folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dp_bench.errors import BadInput
from dp_bench.evaluation import records, search
from dp_bench.evaluation.records import Record
from dp_bench.evaluation.search import Trial
from dp_bench.reports import results_folder
from dp_bench.runs.folder import RunFolder, read_run
from dp_bench.runs.info import RunInfo
from dp_bench.runs.trained import Trained
from dp_bench.util import jsonl
from dp_bench.util.files import atomic_write, whole_files

T = TypeVar("T")
KEY = ("step", "starts", "variant", "env_seed")  # of a record in its run


@dataclass
class _Run:
    """A training, from one or several folders.

    Attributes:
        info: What was trained.
        trained: How.
        json: The file that says so.
        log: Its losses; None without.
        records: Its episodes, by `KEY`.
    """

    info: RunInfo
    trained: Trained
    json: Path
    log: Path | None
    records: dict[tuple[object, ...], Record] = field(default_factory=dict)


def merge(folders: Sequence[Path], out: Path) -> list[Path]:
    """Merges results into a folder, all of them or none.

    Args:
        folders: Folders of results, and run folders or folders that hold some.
        out: Folder of results. What it holds stays.

    Returns:
        The folders of tasks that were written.

    Raises:
        BadInput: When a folder holds no results, when two say different things about
            one episode, training or trial, or when trainings learned from other
            demonstrations, splits or orders.
    """
    runs: dict[Path, dict[str, _Run]] = {}
    trials: dict[Path, dict[tuple[str, int], Trial]] = {}
    for folder in [*([out] if out.is_dir() else []), *folders]:
        counted = sum([_add_runs(folder, runs), _add_searches(folder, trials)])
        if not counted and folder != out:
            raise BadInput(
                f"{folder} holds no results and no runs; name folders that "
                "`dp-bench compare`, `eval` or `tune` wrote with --shard"
            )
    for own, by_name in runs.items():
        _refuse_mixture(own, by_name)
    for own, by_name in runs.items():
        for name, run in by_name.items():
            _write(out / own, name, run)
    for file, by_number in trials.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        jsonl.write(out / file, [by_number[key] for key in sorted(by_number)])
    touched = {*runs, *(file.parent.parent for file in trials)}
    return sorted(out / own for own in touched)


def _add_runs(folder: Path, runs: dict[Path, dict[str, _Run]]) -> int:
    """Reads the trainings of a folder, and returns how many there are."""
    count = 0
    for json, log, episodes in _files(folder):
        info, trained = read_run(json)
        if not episodes.is_file():  # still training
            continue
        own = results_folder.folder_of(info.task, info.demos_source)
        run = _Run(info, trained, json, log if log.is_file() else None)
        known = runs.setdefault(own, {}).setdefault(info.name, run)
        if known.trained.weights != trained.weights:
            raise BadInput(
                f"{json} and {known.json} are one training with other weights "
                f"({trained.weights or 'unknown'} and "
                f"{known.trained.weights or 'unknown'}): another machine or version "
                "trained it again; leave one out"
            )
        for record in records.read(episodes):
            key = tuple(getattr(record, name) for name in KEY)
            earlier = known.records.setdefault((record.settings, *key), record)
            if not records.same(earlier, record):
                raise BadInput(
                    f"{episodes} and an earlier folder differ in start "
                    f"{record.env_seed} of {info.name} ({record.variant}, "
                    f"{record.starts}): scores {record.score:g} and "
                    f"{earlier.score:g}; leave one out"
                )
        count += 1
    return count


def _files(folder: Path) -> Iterable[tuple[Path, Path, Path]]:
    """Yields run.json, log and records of each training in and below a folder."""
    for json in whole_files(folder.rglob("run.json")):
        run = RunFolder(json.parent)
        yield json, run.log, run.records
    for json in whole_files(folder.rglob("runs/*.json")):
        task, name = json.parent.parent, f"{json.stem}.jsonl"
        yield json, task / "logs" / name, task / "records" / name


def _add_searches(
    folder: Path, trials: dict[Path, dict[tuple[str, int], Trial]]
) -> int:
    """Reads the trials of a folder, and returns how many there are."""
    count = 0
    for path in whole_files(folder.rglob(f"{search.FOLDER}/*.jsonl")):
        own = _below(path, folder)
        known = trials.setdefault(own, {})
        for trial in search.read(path):
            earlier = known.setdefault((trial.search, trial.number), trial)
            if earlier.changes != trial.changes:
                raise BadInput(
                    f"{path} and an earlier folder differ in trial {trial.number}: "
                    "two searches ran as one shard; leave one out"
                )
            if len(trial.pauses) > len(earlier.pauses) or (
                earlier.state == "unfinished"
            ):
                known[trial.search, trial.number] = trial
            count += 1
    return count


def _below(path: Path, folder: Path) -> Path:
    """Names a file of a search below the folder of results."""
    first = search.read(path)
    relative = path.relative_to(folder)
    task = first[0].conditions.task if first else ""
    parts = relative.parts
    if task and task not in parts[:-2]:  # the folder of a task was named
        return Path(*results_folder.folder_of(task, "").parts, *parts[-2:])
    return relative


def _refuse_mixture(own: Path, runs: Mapping[str, _Run]) -> None:
    """Refuses trainings that did not learn from the same data in the same order."""
    facts: dict[str, Callable[[RunInfo], tuple[object, str]]] = {
        "demonstrations": lambda info: (None, info.demos_digest),
        "split": lambda info: (None, info.split_digest),
        "order of training rows": lambda info: (info.train_seed, info.order_digest),
        "images": lambda info: (info.obs_kind, info.frames_digest),
    }
    for what, fact in facts.items():
        seen: dict[object, tuple[str, str]] = {}
        for name, run in runs.items():
            about, digest = fact(run.info)
            if not digest:
                continue
            first, other = seen.setdefault(about, (digest, name))
            if digest != first:
                raise BadInput(
                    f"{name} and {other} of {own} have other {what} ({digest[:12]} and "
                    f"{first[:12]}), so they cannot share a table; leave one out"
                )


def _write(folder: Path, name: str, run: _Run) -> None:
    """Writes the files of a training; those that are there already stay."""
    for source, target in (
        (run.json, folder / "runs" / f"{name}.json"),
        (run.log, folder / "logs" / f"{name}.jsonl"),
    ):
        if source is not None and source != target:
            content = source.read_bytes()
            with atomic_write(target) as part:
                part.write_bytes(content)
    target = folder / "records" / f"{name}.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    jsonl.write(target, list(run.records.values()))
