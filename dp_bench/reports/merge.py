"""Merging the results of shards that ran in folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import records, search
from dp_bench.evaluation.records import Record
from dp_bench.evaluation.search import Trial
from dp_bench.reports import results_folder
from dp_bench.runs.folder import RunFolder, read_run
from dp_bench.runs.info import RunInfo, run_name
from dp_bench.runs.trained import Trained
from dp_bench.util import jsonl
from dp_bench.util.files import atomic_write, whole_files

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
        out: Folder of results. What it holds stays. Results merge into
            `out/<task>` only; tables elsewhere in it, such as `out/<name>/<task>`,
            take no part.

    Returns:
        The folders of tasks that were written.

    Raises:
        BadInput: When a folder holds no results, when two say different things about
            one episode, training or trial, or when trainings learned from other
            demonstrations, splits or orders.
    """
    runs: dict[Path, dict[str, _Run]] = {}
    trials: dict[Path, dict[tuple[str, int], Trial]] = {}
    if (out / "records").is_dir():
        raise BadInput(
            f"{out} is the folder of one table; name the folder of results above it"
        )
    if out.is_dir():
        _add_runs(out, runs, into=out)
        _add_searches(out, trials, into=out)
    brought: set[Path] = set()
    for folder in folders:
        places = {*_add_runs(folder, runs), *_add_searches(folder, trials)}
        if not places:
            raise BadInput(
                f"{folder} holds no results and no runs; name folders that "
                "`dp-bench compare`, `eval` or `tune` wrote with --shard"
            )
        brought |= places
    for own in brought & runs.keys():
        _refuse_mixture(own, runs[own])
    for own in brought & runs.keys():
        for name, run in runs[own].items():
            _write(out / own, name, run)
        for file in whole_files((out / own / "records").glob("*.jsonl")):
            if file.stem in runs[own]:
                continue
            if all(run_name(record) in runs[own] for record in records.read(file)):
                file.unlink()  # its records lie in files of their runs now
    for file, by_number in trials.items():
        if file.parent.parent in brought:
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            jsonl.write(out / file, _in_order(by_number))
    return sorted(out / own for own in brought)


def _in_order(trials: Mapping[tuple[str, int], Trial]) -> list[Trial]:
    """Sorts the trials of each search by number; the searches keep their order."""
    searches = dict.fromkeys(search for search, _ in trials)
    return [
        trials[key]
        for search in searches
        for key in sorted(key for key in trials if key[0] == search)
    ]


def _add_runs(
    folder: Path, runs: dict[Path, dict[str, _Run]], into: Path | None = None
) -> set[Path]:
    """Reads the trainings of a folder, and returns the folders where they belong.

    Args:
        folder: Has the trainings.
        runs: Receives them, by folder of results.
        into: Results that are extended: tables that do not lie at their own place in
            it are left out.
    """
    places = set()
    for json, log, episodes in _trainings(folder, into):
        info, trained = read_run(json)
        own = results_folder.folder_of(info.task, info.demos_source)
        if into and json.name != "run.json" and not _is_at_home(json, into):
            continue
        run = _Run(info, trained, json, log if log.is_file() else None)
        known = runs.setdefault(own, {}).setdefault(info.name, run)
        if known.trained.weights != trained.weights:
            raise BadInput(
                f"{json} and {known.json} are the same run but have different weights "
                f"({trained.weights or 'unknown'} and "
                f"{known.trained.weights or 'unknown'}): it was trained twice on "
                "other processors or versions, or packed; leave out one of the folders"
            )
        for record in episodes:
            key = tuple(getattr(record, name) for name in KEY)
            earlier = known.records.setdefault((record.settings, *key), record)
            if not records.same(earlier, record):
                raise BadInput(
                    f"{json.parent} and an earlier folder differ in start "
                    f"{record.env_seed} of {info.name} ({record.variant}, "
                    f"{record.starts}): scores {record.score:g} and "
                    f"{earlier.score:g}; leave out one of the two folders"
                )
        places.add(own)
    return places


def _trainings(
    folder: Path, into: Path | None
) -> Iterator[tuple[Path, Path, list[Record]]]:
    """Yields run.json, log and records of each training in and below a folder.

    Trainings that have no records yet are left out, and so are tables that have no
    training at its own place in `into`.
    """
    for json in whole_files(folder.rglob("run.json")):
        run = RunFolder(json.parent)
        if run.records.is_file():
            yield json, run.log, records.read(run.records)
    for place in sorted(folder.rglob("runs")):
        files = {file.stem: file for file in whole_files(place.glob("*.json"))}
        task = place.parent
        if not files or not (task / "records").is_dir():
            continue
        if into and not any(_is_at_home(file, into) for file in files.values()):
            continue
        by_run: dict[str, list[Record]] = {}
        for file in whole_files((task / "records").glob("*.jsonl")):
            for record in records.read(file):
                name = file.stem if file.stem in files else run_name(record)
                by_run.setdefault(name, []).append(record)
        unknown = [name for name in by_run if name not in files]
        if unknown:
            raise BadInput(
                f"{task} has records of {unknown[0]} and no runs/{unknown[0]}.json, "
                "which says how it was trained; copy that file there"
            )
        for name, episodes in by_run.items():
            yield files[name], task / "logs" / f"{name}.jsonl", episodes


def _is_at_home(json: Path, results: Path) -> bool:
    """Tells whether a training lies in the folder of its task and demonstrations."""
    info = read_run(json)[0]
    own = results_folder.folder_of(info.task, info.demos_source)
    return json.parent.parent == results / own


def _add_searches(
    folder: Path,
    trials: dict[Path, dict[tuple[str, int], Trial]],
    into: Path | None = None,
) -> set[Path]:
    """Reads the trials of a folder, and returns the folders where they belong.

    Args:
        folder: Has the trials.
        trials: Receives them, by file of results.
        into: Results that are extended, as in `_add_runs`.
    """
    places = set()
    for path in whole_files(folder.rglob(f"{search.FOLDER}/*.jsonl")):
        read = search.read(path)
        if not read:
            continue
        task = read[0].conditions.task
        if into and task not in path.relative_to(into).parts:
            continue
        own = _home_of(path, task)
        if into and path.parent.parent != into / own:
            continue
        known = trials.setdefault(own / search.FOLDER / path.name, {})
        for trial in read:
            earlier = known.setdefault((trial.search, trial.number), trial)
            if earlier.changes != trial.changes:
                raise BadInput(
                    f"{path} and an earlier folder differ in trial {trial.number}: "
                    "two searches ran as the same part; leave out one of the two"
                )
            if _progress(trial) > _progress(earlier):
                known[trial.search, trial.number] = trial
        places.add(own)
    return places


def _progress(trial: Trial) -> tuple[int, bool]:
    """Tells how far a trial has come."""
    return len(trial.pauses), trial.state != "unfinished"


def _home_of(path: Path, task: str) -> Path:
    """Names the folder of a task, and of its demonstrations, in results.

    Args:
        path: A file of a search, `.../<task>[/<source>]/search/<method>.jsonl`.
        task: Name of the task.
    """
    parts = path.resolve().parts[:-2]
    if task not in parts:
        raise BadInput(
            f"{path} is a search on {task} and does not lie in a folder of that name; "
            f"name the folder of results, which holds {task}/{search.FOLDER}"
        )
    last = len(parts) - 1 - parts[::-1].index(task)
    known = registry.tasks().get(task)
    group = known.group if known else ""
    return Path(group, task, *parts[last + 1 :])


def _refuse_mixture(own: Path, runs: Mapping[str, _Run]) -> None:
    """Refuses trainings that did not learn from the same data in the same order.

    Settings that weight the draws give an order of their own, by intention.
    """
    facts: dict[str, Callable[[RunInfo], tuple[object, str]]] = {
        "demonstrations": lambda info: (info.obs_kind, info.demos_digest),
        "splits": lambda info: (info.obs_kind, info.split_digest),
        "orders of training rows": lambda info: (
            (info.obs_kind, info.train_seed, _draws(info)),
            info.order_digest,
        ),
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
                    f"the runs {name} and {other} of {own} had different {what} "
                    f"({digest[:12]} and {first[:12]}), so they cannot share a table; "
                    "merge them into two folders"
                )


def _draws(info: RunInfo) -> object:
    """What the weights of a run's draws follow from; None if all are equal."""
    weight = info.training.get("keyframe_weight", 0.0)
    return (weight, str(info.policy.get("horizons")), info.method) if weight else None


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
