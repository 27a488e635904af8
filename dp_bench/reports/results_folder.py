"""The folder of results: which task and demonstrations lie where.

results/<task>/records/*.jsonl    evaluated episodes
results/<task>/logs/*.jsonl       losses during training
results/<task>/runs/*.json        settings and machine of each training
results/<task>/films/             films of episodes, for the page index.html

Demonstrations of another source than the task's default have a folder of their own,
results/<task>/<source>/: all rows of a table were trained on the same demonstrations.
Tasks of a group lie in a folder of it, results/<group>/<task>/.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation import encoders, samplers, search
from dp_bench.runs.folder import RunFolder
from dp_bench.util.files import atomic_write, is_plain, remove_stale_parts, whole_files

OWN = (
    "records",
    "logs",
    "runs",
    "search",
    "films",
)  # folders that a folder of results has itself
PAGE = "index.html"


def folder_of(task: str, source: str) -> Path:
    """Says where results of a task and its demonstrations lie, below the results.

    Raises:
        BadInput: When the task or the source cannot name a folder there.
    """
    if not is_plain(task):
        raise BadInput(
            f"task {task!r} cannot name a folder of results: use letters, digits, '_', "
            "'-' and '.'"
        )
    if not is_plain(source) or source in OWN:
        raise BadInput(
            f"demonstrations {source!r} cannot name a folder of results: use letters, "
            f"digits, '_', '-' and '.', and none of {', '.join(OWN)}"
        )
    known = registry.tasks().get(task)
    first = next(iter(known.sources), source) if known else source
    own = Path(known.group, task) if known else Path(task)
    return own if source == first else own / source


def collect(runs: Sequence[Path], results: Path) -> None:
    """Copies records, logs and settings of runs into the folder of results.

    Args:
        runs: Run folders.
        results: Folder with a folder for each task; or one such folder.

    Raises:
        BadInput: When a run does not belong in the folder.
    """
    remove_stale_parts(results)
    for run in map(RunFolder, runs):
        folder = _folder_for(run, results)
        name = run.path.name
        copies = {
            run.records: folder / "records" / f"{name}.jsonl",
            run.log: folder / "logs" / f"{name}.jsonl",
            run.path / "run.json": folder / "runs" / f"{name}.json",
        }
        for source, target in copies.items():
            if source.is_file():
                if target.is_file() and filecmp.cmp(source, target, shallow=False):
                    continue
                with atomic_write(target) as aside:
                    shutil.copyfile(source, aside)


def folders_with_records(results: Path) -> list[Path]:
    """Lists the folders that have records, of tasks and of their demonstrations.

    Raises:
        BadInput: When no folder has records, a study or a search.
    """
    folders = sorted(p.parent for p in results.rglob("records") if p.is_dir())
    if not folders and not folders_with_studies(results):
        raise BadInput(
            f"{results} holds no folder of records, <task>/records/*.jsonl; "
            "`dp-bench compare` writes them"
        )
    return folders


def folders_with_studies(results: Path) -> list[Path]:
    """Lists the folders of tasks that have a study or a search."""
    studies = [*results.rglob(encoders.FILE), *results.rglob(samplers.FILE)]
    searches = whole_files(results.rglob(f"{search.FOLDER}/*.jsonl"))
    return sorted(
        {file.parent for file in studies} | {file.parent.parent for file in searches}
    )


def _folder_for(run: RunFolder, results: Path) -> Path:
    info = run.info()
    own = folder_of(info.task, info.demos_source)
    folder = results / own
    if not (results / "records").is_dir() or folder.is_dir():
        return folder
    if results.resolve().parts[-len(own.parts) :] != own.parts:
        raise BadInput(
            f"{run.path} is a run of {info.task} on demonstrations "
            f"{info.demos_source!r}, and {results} holds results of others; "
            "name the folder above it"
        )
    return results
