"""Where the rows of a table come from: trainings, settings, files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dp_bench.reports.table import Row
from dp_bench.runs.folder import read_run
from dp_bench.runs.info import RunInfo
from dp_bench.runs.trained import Trained
from dp_bench.util.files import whole_files


class RunFile(NamedTuple):
    """A file `runs/<name>.json`."""

    info: RunInfo
    trained: Trained


@dataclass(frozen=True, eq=False)
class RunLine:
    """A training of a row, and the files that tell of it.

    Attributes:
        train_seed: Its seed.
        trained: How it was trained.
        weights: Digest of its weights; "" if unknown.
        files: Addresses of its files, by what they are; only those that exist.
    """

    train_seed: int
    trained: str
    weights: str
    files: dict[str, str]


def read_runs(folder: Path) -> dict[str, RunFile]:
    """Reads the settings of all trainings of a folder of results.

    Raises:
        BadInput: When a file is damaged.
    """
    files = whole_files((folder / "runs").glob("*.json"))
    return {file.stem: RunFile(*read_run(file)) for file in files}


def runs_of(row: Row, runs: Mapping[str, RunFile]) -> list[str]:
    """Names the trainings of a row, in the order of their seeds."""
    keys = ("method", "preset", "settings", "demos_digest", "frames_digest")

    def belongs(info: RunInfo) -> bool:
        seed = info.train_seed
        return (
            seed in row.train_seeds
            and all(getattr(info.identity, key) == getattr(row, key) for key in keys)
            and _agree(info.split_digest, row.splits[seed])
            and _agree(info.order_digest, row.orders[seed])
        )

    names = [name for name, (info, _) in runs.items() if belongs(info)]
    return sorted(names, key=lambda name: runs[name].info.train_seed)


def _agree(one: str, other: str) -> bool:
    """Compares two digests; old files have none."""
    return one == other or not (one and other)


def weights_of(row: Row, train_seed: int, file: RunFile) -> str:
    """Names the weights with which a row was evaluated; "" if unknown."""
    known = row.trained.get(train_seed)
    return known.weights if known and known.weights else file.trained.weights


def facts_of(row: Row, info: RunInfo | None) -> dict[str, str]:
    """Says what was trained, besides the settings."""
    facts = {
        "method": row.method,
        "preset": row.preset,
        "observation": row.obs_kind,
        "control": row.control,
        "updates": f"{row.step:,}",
        "demonstrations": row.demos_digest,
    }
    if info:
        facts["source of the demonstrations"] = info.demos_source
        facts["training episodes"] = str(info.train_episodes)
    return facts


def run_line(folder: Path, name: str, info: RunInfo, how: Trained) -> RunLine:
    """Describes a training, and lists those of its files that exist."""
    files = {
        "records": f"records/{name}.jsonl",
        "log": f"logs/{name}.jsonl",
        "settings": f"runs/{name}.json",
    }
    there = {what: file for what, file in files.items() if (folder / file).is_file()}
    return RunLine(info.train_seed, _conditions(how), how.weights, there)


def settings_of(info: RunInfo) -> dict[str, str]:
    """Lists settings by the names that `--set` takes."""
    parts: dict[str, Mapping[str, object]] = {
        "policy": info.policy,
        "training": info.training,
    }
    if info.vision is not None:
        parts["vision"] = dataclasses.asdict(info.vision)
    return {
        f"{part}.{name}": _setting(value)
        for part, values in parts.items()
        for name, value in _flat(values)
    }


def _flat(values: Mapping[str, object], before: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{before}{name}.")
        else:
            flat.append((before + name, value))
    return flat


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)


def _conditions(how: Trained) -> str:
    """Says on what a training ran."""
    parts = [how.conditions or "unknown conditions"]
    processors = dict.fromkeys(s.processor for s in how.stages if s.processor)
    commits = dict.fromkeys(s.commit[:12] for s in how.stages if s.commit)
    if processors:
        parts.append(", ".join(processors))
    if commits:
        parts.append(f"commit {', '.join(commits)}")
    return "; ".join(parts)
