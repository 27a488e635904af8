"""Writes pages: a page for each table, and one that leads to all of them.

<folder>/index.html           all tables
<folder>/<task>/index.html    one table

A page holds its scripts and styles, so that it works from a folder and in an e-mail.
Its content security policy allows these scripts by their digests, and nothing from
elsewhere.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.evaluation import films, records
from dp_bench.reports import remake, trained, trainings
from dp_bench.reports.comparability import compared
from dp_bench.reports.page.charts import Chart, charts
from dp_bench.reports.page.content import SHADES, Content, content_of, read_runs
from dp_bench.reports.table import Table
from dp_bench.reports.verdict import about_the_best
from dp_bench.reports.wording import family_name, label, with_interval
from dp_bench.util.files import atomic_write, atomic_write_text, whole_files
from dp_bench.util.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

FILE = "index.html"
# What a page links to, beside it.
LINKED = ("records/*.jsonl", "logs/*.jsonl", "runs/*.json", "films/*", "*.png")
TABLES = ("table.csv", "table.tex")


def write_task(folder: Path, out: Path, name: str, home: str | None = None) -> Path:
    """Writes the page of one table.

    Args:
        folder: `results/<task>` or `results/<task>/<source>`, which has records.
        out: Receives the page; files that it links to are copied there, unless it is
            `folder` itself.
        name: What the page calls the folder.
        home: Address of the page of all tables, from `out`; None for none.

    Returns:
        The page.

    Raises:
        BadInput: When records, logs or settings are damaged.
    """
    table, content, drawn = _task(folder, name)
    text = (
        _environment()
        .get_template("task.html")
        .render(
            content=content,
            charts=drawn,
            data=_json(_data(content)),
            figures=_json({c.name: json.loads(c.figure) for c in drawn}),
            shades=list(_shades()),
            downloads=[file for file in TABLES if (folder / file).is_file()],
            home=home,
            heading=table.title,
            **_scripts("plotly", "page.js"),
        )
    )
    if out.resolve() != folder.resolve():
        _copy(folder, out)
    atomic_write_text(out / FILE, text)
    return out / FILE


def write(results: Path, out: Path, folders: Sequence[Path]) -> Path:
    """Writes the page of each table, and one that leads to them.

    Args:
        results: Holds the tables, or is the folder of one.
        out: Receives the pages.
        folders: Of the tables, in `results`.

    Returns:
        The page of all tables, or of the only one.

    Raises:
        BadInput: When there is no table, or a file of it is damaged.
    """
    if not folders:
        raise BadInput(f"{results} has no records, so there is nothing for a page")
    if list(folders) == [results]:
        return write_task(results, out, results.name)
    names = {folder: folder.relative_to(results).as_posix() for folder in folders}
    for folder, name in names.items():
        up = "../" * len(Path(name).parts) + FILE
        write_task(folder, out / name, name, up)
    write_index(out, {names[f]: remake.table_of(f) for f in folders})
    return out / FILE


def write_index(out: Path, tables: Mapping[str, Table]) -> None:
    """Writes the page that leads to all tables.

    Args:
        out: Receives the page.
        tables: By their folder, from `out`.
    """
    cards = []
    for name, table in tables.items():
        rows = table.rows
        families = compared(rows)[1]
        cards.append(
            {
                "folder": name,
                "title": table.title,
                "verdicts": [
                    (family_name(f.rows[0], rows), about_the_best(f)) for f in families
                ],
                "rows": [
                    (
                        label(row, rows) + trained.marks(row),
                        with_interval(row.score),
                        with_interval(row.estimates["success"]),
                        row.letters,
                    )
                    for row in rows
                ],
            }
        )
    text = (
        _environment()
        .get_template("all.html")
        .render(cards=cards, **_scripts("page.js"))
    )
    atomic_write_text(out / FILE, text)


def _task(folder: Path, name: str) -> tuple[Table, Content, list[Chart]]:
    everything = trained.with_trainings(records.read(folder / "records"), folder)
    table = remake.table_of(folder)
    content = content_of(name, table, everything, read_runs(folder))
    content.films.extend(films.read(folder))
    runs = trainings.read(folder)
    several = records.to_frame(trainings.with_several_steps(everything))
    columns = remake.columns_with_curves(several) if len(several) else []
    logs = trainings.logs_by_method(runs) if runs else {}
    drawn = [
        chart._replace(image=chart.image if (folder / chart.image).is_file() else "")
        for chart in charts(table, several, columns, logs)
    ]
    return table, content, drawn


def _data(content: Content) -> dict[str, object]:
    """Collects what the script needs to show a start."""
    return {
        "labels": content.labels,
        "colours": content.colours,
        "variants": content.variants,
        "shades": SHADES,
        "played": [
            {
                start: {seed: list(episode) for seed, episode in by_seed.items()}
                for start, by_seed in by_start.items()
            }
            for by_start in content.played
        ],
        "films": [dataclasses.asdict(film) for film in content.films],
        "weights": [
            {run.train_seed: run.name for run in source.runs}
            for source in content.provenance
        ],
    }


def _copy(folder: Path, out: Path) -> None:
    """Copies the files that a page links to."""
    for pattern in (*LINKED, *TABLES):
        for file in whole_files(folder.glob(pattern)):
            target = out / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as aside:
                shutil.copyfile(file, aside)


def _scripts(*names: str) -> dict[str, object]:
    """Gives scripts and the policy that allows them and nothing else."""
    from markupsafe import Markup

    texts = [_plotly() if name == "plotly" else _template(name) for name in names]
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in texts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src 'self' file: data: blob:; media-src 'self' file:; base-uri 'none'; "
        "form-action 'none'"
    )
    return {
        "policy": policy,
        "scripts": [Markup(text) for text in texts],
        "style": Markup(_template("style.css")),
    }


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _template(name: str) -> str:
    source, _, _ = _environment().loader.get_source(_environment(), name)  # type: ignore[union-attr]
    return source


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: object) -> str:
    """Writes JSON that cannot end the element in which it stands."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _shades() -> list[str]:
    """Gives the map's colours, from score 0 to 1."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [
        to_hex(c) for c in colormaps["cividis"]([k / SHADES for k in range(SHADES + 1)])
    ]


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("dp_bench.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: object) -> object:
    """Shows control characters of names as text; our own markup stays."""
    return one_line(value) if type(value) is str else value
