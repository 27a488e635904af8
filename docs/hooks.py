"""Lets the manual show figures and pages of `results/`."""

import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FIGURES = (
    "success.png",
    "profile.png",
    "probability.png",
    "control.png",
    "modes.png",
    "encoders.png",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds figures of all tasks as `results/...`, and their pages as `pages/...`."""
    root = Path(config.config_file_path).parent
    added = {
        figure.relative_to(root).as_posix(): figure
        for figure in sorted((root / "results").rglob("*.png"))
        if figure.name in FIGURES
    }
    for file in _pages(root):
        added[file.relative_to(root / "build").as_posix()] = file
    for path, file in added.items():
        files.append(File.generated(config, path, abs_src_path=str(file)))
    return files


def _pages(root: Path) -> list[Path]:
    """Writes the pages of all results into `build/pages`, and lists their files."""
    from dp_bench.reports import remake, results_folder
    from dp_bench.reports.page import write

    results, out = root / "results", root / "build" / "pages"
    shutil.rmtree(out, ignore_errors=True)  # of results that are gone
    folders = results_folder.folders_with_records(results)
    write.write(results, out, {f: remake.table_of(f) for f in folders})
    return sorted(file for file in out.rglob("*") if file.is_file())
