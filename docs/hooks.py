"""Lets the manual show figures that lie in `results/`."""

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
    """Adds the figures of every task, under the path they have in `results/`."""
    root = Path(config.config_file_path).parent
    for figure in sorted((root / "results").rglob("*.png")):
        if figure.name in FIGURES:
            path = figure.relative_to(root).as_posix()
            files.append(File.generated(config, path, abs_src_path=str(figure)))
    return files
