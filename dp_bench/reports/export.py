"""Records -> files of episodes that other evaluation tools read.

eval-info   <out>/<run>/eval_info.json of each training, in the form of LeRobot
csv         <out>/episodes.csv, a row for each episode
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.records import Record
from dp_bench.reports.csv_file import csv_text
from dp_bench.reports.summary import at_last_step
from dp_bench.runs.info import run_name
from dp_bench.util.files import (
    PART,
    atomic_write_text,
    refuse_link,
    refuse_unwritable,
    remove_stale_parts,
)
from dp_bench.util.types import JsonObject

Runs = Mapping[str, Sequence[Record]]  # episodes of each training, by name of the run


def export(folder: Path, form: str, out: Path) -> list[Path]:
    """Writes the episodes of a folder of results, those that its table shows.

    Args:
        folder: `results/<task>` or `results/<task>/<source>`.
        form: How they are written, one of `FORMS`.
        out: Folder for the files; one that holds nothing else.

    Returns:
        The files.

    Raises:
        BadInput: When there is no such form, the folder has no records or an episode
            twice, or `out` holds other files or cannot be written.
    """
    if form not in FORMS:
        raise BadInput(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    texts = FORMS[form](_by_run(_shown(_records_of(folder))))
    refuse_unwritable(out, f"--out {out}")
    remove_stale_parts(out)
    _refuse_other_content(out, list(texts))
    for name, text in texts.items():
        atomic_write_text(out / name, text)
    return [out / name for name in texts]


def eval_info(episodes: Sequence[Record]) -> JsonObject:
    """Lays the episodes of one training out as LeRobot's evaluation does.

    Each variant and observation of the task is a group of its own. Rewards are left
    out, as records have none; the score of each episode is a number of ours beside its
    success.

    Args:
        episodes: Of one training.
    """
    by_task: dict[str, list[Record]] = {}
    for record in episodes:
        by_task.setdefault(_task_name(record), []).append(record)
    per_task: list[JsonObject] = [
        {
            "task_group": task,
            "task_id": 0,
            "metrics": {
                "successes": [r.success for r in members],
                "scores": [r.score for r in members],
                "seeds": [r.env_seed for r in members],
            },
        }
        for task, members in by_task.items()
    ]
    info: JsonObject = {
        "per_task": per_task,
        "per_group": {task: _aggregate(members) for task, members in by_task.items()},
        "overall": _aggregate(episodes),
        "per_episode": [
            {
                "episode_ix": k,
                "task_group": task,
                "seed": r.env_seed,
                "success": r.success,
                "score": r.score,
            }
            for task, members in by_task.items()
            for k, r in enumerate(members)
        ],
    }
    firsts = {members[0].env_seed for members in by_task.values()}
    if len(firsts) == 1 and all(map(_is_consecutive, by_task.values())):
        info["seed"] = firsts.pop()  # of the first episode; the k-th has k more
    return info


def to_frame(runs: Runs) -> pd.DataFrame:
    """Makes a table with a row for each episode, episodes in order of their starts."""
    rows: list[dict[str, object]] = []
    for run, episodes in runs.items():
        before: dict[str, int] = {}
        for r in episodes:
            task = _task_name(r)
            before[task] = before.get(task, -1) + 1
            rows.append(
                {
                    "task": task,
                    "run": run,
                    "method": r.method,
                    "variant": r.variant,
                    "observation": r.obs_kind,
                    "starts": r.starts,
                    "train_seed": r.train_seed,
                    "updates": r.step,
                    "episode": before[task],
                    "env_seed": r.env_seed,
                    "success": _word(r.success),
                    "success_once": _word(r.success_once),
                    "success_at_end": _word(r.success_at_end),
                    "score": r.score,
                    "length": r.length,
                }
            )
    return pd.DataFrame(rows)


def _word(success: bool | None) -> str:
    return "" if success is None else str(success).lower()


def _eval_infos(runs: Runs) -> dict[str, str]:
    """Writes the file of each training, by its name below the folder."""
    return {
        f"{run}/eval_info.json": json.dumps(eval_info(episodes), indent=2) + "\n"
        for run, episodes in runs.items()
    }


def _csv(runs: Runs) -> dict[str, str]:
    return {"episodes.csv": csv_text(to_frame(runs))}


FORMS = {"eval-info": _eval_infos, "csv": _csv}


def _records_of(folder: Path) -> list[Record]:
    if (folder / "records").is_dir():
        return records.read(folder / "records")
    below = sorted(p.parent for p in folder.rglob("records") if p.is_dir())
    advice = (
        f"name one of {', '.join(map(str, below))}"
        if below
        else "`dp-bench compare` writes them"
    )
    raise BadInput(
        f"{folder} has no records of its own, {folder / 'records'}/*.jsonl; {advice}"
    )


def _shown(everything: Sequence[Record]) -> list[Record]:
    """Selects what the table shows: test starts if there are any, the last updates."""
    chosen = [r for r in everything if r.starts == "test"] or everything
    last = at_last_step(records.to_frame(chosen))
    return [record for record, is_last in zip(chosen, last, strict=True) if is_last]


def _by_run(episodes: Sequence[Record]) -> dict[str, list[Record]]:
    """Groups episodes by the name of their run, and sorts them by start."""
    runs: dict[str, dict[tuple[str, str, int], Record]] = {}
    for record in episodes:
        name = run_name(record)
        start = (record.variant, record.starts, record.env_seed)
        if start in runs.setdefault(name, {}):
            raise BadInput(
                f"{name} has the episode of start {record.env_seed} (variant "
                f"{record.variant}) twice; there must be one"
            )
        runs[name][start] = record
    return {
        name: [by_start[start] for start in sorted(by_start)]
        for name, by_start in sorted(runs.items())
    }


def _task_name(record: Record) -> str:
    """Names what one mean may be taken of: a task, an observation, and a variant."""
    return f"{record.task}_{record.obs_kind}_{record.variant}"


def _aggregate(episodes: Sequence[Record]) -> JsonObject:
    successes = [record.success for record in episodes]
    return {
        "pc_success": 100 * sum(successes) / len(successes),
        "n_episodes": len(successes),
    }


def _is_consecutive(episodes: Sequence[Record]) -> bool:
    seeds = [record.env_seed for record in episodes]
    return seeds == list(range(seeds[0], seeds[0] + len(seeds)))


def _refuse_other_content(out: Path, files: Sequence[str]) -> None:
    """Refuses a folder with anything that this export does not replace."""
    ours = {out / name for name in files}
    ours |= {path.parent for path in ours}
    for path in out.rglob("*"):
        refuse_link(path)
        if path not in ours and not path.name.startswith(PART):
            raise BadInput(
                f"--out {out} holds {path.relative_to(out)}, which this export does "
                "not write; name a new or an empty folder"
            )
