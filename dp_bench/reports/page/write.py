"""Writes pages: a page for each table, and one that leads to all of them.

<folder>/index.html           all tables
<folder>/<task>/index.html    one table

A page holds its data, scripts and styles. Films, and the files that it links to, lie
beside it. Its content security policy allows these scripts by their digests, and
nothing from elsewhere.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dp_bench.errors import BadInput
from dp_bench.evaluation import films, records
from dp_bench.reports import learning, remake, results_folder, trained, trainings
from dp_bench.reports.comparability import compared
from dp_bench.reports.page.charts import Chart, charts
from dp_bench.reports.page.content import SHADES, Content, content_of
from dp_bench.reports.page.origin import read_runs
from dp_bench.reports.table import FAMILY, Table, grouped
from dp_bench.reports.verdict import about_the_best, no_comparison
from dp_bench.reports.wording import family_name, short_label, with_interval
from dp_bench.util.files import atomic_write, read_without_links, whole_files
from dp_bench.util.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

FILE = results_folder.PAGE
TABLES = ("table.csv", "table.tex")
# What a page shows or links to, beside it.
LINKED = (
    *("records/*.jsonl", "logs/*.jsonl", "runs/*.json"),
    *("films/*.mp4", "films/*.jpg", "*.png", *TABLES),
)


def write(results: Path, out: Path, tables: Mapping[Path, Table]) -> Path:
    """Writes the page of each table, and one that leads to them.

    Args:
        results: Holds the tables, or is the folder of one.
        out: Receives the pages.
        tables: By their folder, in `results`.

    Returns:
        The page of all tables, or of the table that `results` is the folder of.

    Raises:
        BadInput: When there is no table, a file is damaged, or `out` is a folder in
            `results`.
    """
    if not tables:
        raise BadInput(f"{results} has no records, so no page can be made")
    refuse_inside(results, out)
    whole = results not in tables  # so a page that leads to them is written
    for folder, table in tables.items():
        own = folder.relative_to(results)
        steps = len(own.parts)
        home = "../" * steps + FILE if whole else None
        name = own.as_posix() if steps else results.resolve().name
        write_task(folder, table, out / own, name, home)
    if whole:
        names = {f.relative_to(results).as_posix(): t for f, t in tables.items()}
        write_index(out, names)
    return out / FILE


def renew_index(results: Path, made: Mapping[Path, Table]) -> None:
    """Writes the page that leads to all tables again, after some of them changed.

    Args:
        results: Holds the tables and their pages.
        made: Those tables that are at hand, by folder.

    Raises:
        BadInput: When records of another table are damaged.
    """
    folders = results_folder.folders_with_records(results)
    tables = {f: made[f] if f in made else remake.table_of(f) for f in folders}
    names = {f.relative_to(results).as_posix(): t for f, t in tables.items()}
    write_index(results, names)


def refuse_inside(results: Path, out: Path) -> None:
    """Refuses to write pages where a report would take their records for others.

    Raises:
        BadInput: When `out` is a folder in `results`.
    """
    inside = out.resolve() != results.resolve()
    if inside and out.resolve().is_relative_to(results.resolve()):
        raise BadInput(
            f"--html {out} lies in {results}, and a later report would take its copies "
            "for results; name a folder outside, or none to write beside the records"
        )


def write_task(
    folder: Path, table: Table, out: Path, name: str, home: str | None = None
) -> Path:
    """Writes the page of one table.

    Args:
        folder: `results/<task>` or `results/<task>/<source>`, which has records.
        table: As of `remake.table_of`.
        out: Receives the page; files that it links to are copied there, unless it is
            `folder` itself.
        name: What the page calls the folder.
        home: Address of the page of all tables, from `out`; None for none.

    Returns:
        The page.

    Raises:
        BadInput: When records, logs or settings are damaged.
    """
    everything = trained.with_trainings(records.read(folder / "records"), folder)
    content = content_of(
        folder, name, table, everything, read_runs(folder), films.read(folder)
    )
    drawn = _charts(folder, table, everything)
    text = (
        _environment()
        .get_template("task.html")
        .render(
            content=content,
            charts=drawn,
            data=_json(_data(content)),
            figures=_json({c.name: json.loads(c.figure) for c in drawn}),
            shades=_shades(),
            downloads=[file for file in TABLES if (folder / file).is_file()],
            home=home,
            **_scripts("plotly", "page.js"),
        )
    )
    if out.resolve() != folder.resolve():
        _copy(folder, out)
    _write_text(out / FILE, text)
    return out / FILE


def write_index(out: Path, tables: Mapping[str, Table]) -> None:
    """Writes the page that leads to all tables.

    Args:
        out: Receives the page.
        tables: By their folder, from `out`.
    """
    cards = []
    for name, table in tables.items():
        rows, families = table.rows, compared(table.rows)[1]
        cards.append(
            {
                "folder": name,
                "title": table.title,
                "not_compared": "" if families else no_comparison(rows),
                "verdicts": [
                    (family_name(f.rows[0], rows), about_the_best(f)) for f in families
                ],
                "families": [
                    (
                        family_name(members[0], rows),
                        [
                            (
                                short_label(row, members) + trained.marks(row),
                                with_interval(row.score),
                                with_interval(row.estimates["success"]),
                                row.letters,
                            )
                            for row in members
                        ],
                    )
                    for members in grouped(rows, FAMILY)
                ],
            }
        )
    template = _environment().get_template("all.html")
    _write_text(out / FILE, template.render(cards=cards, **_scripts("page.js")))


def _charts(
    folder: Path, table: Table, everything: Sequence[records.Record]
) -> list[Chart]:
    """Draws the charts; those with an image of the same in the folder name it."""
    runs = trainings.read(folder)
    several = records.to_frame(trainings.with_several_steps(everything))
    columns = remake.columns_with_curves(several) if len(several) else []
    curves = {"score": learning.score_curves(several)} if len(several) else {}
    for column in columns:
        curves[column.key] = learning.score_curves(several, column.key)
    starts = ", ".join(sorted(set(several["starts"]))) if len(several) else ""
    titles = {"score": "score"} | {column.key: column.title for column in columns}
    logs = trainings.logs_by_method(runs) if runs else {}
    return [
        chart._replace(image=chart.image if (folder / chart.image).is_file() else "")
        for chart in charts(table, curves, titles, starts, logs)
    ]


def _data(content: Content) -> dict[str, object]:
    """Collects what the script needs to show a start, for each row."""
    return {
        "shades": SHADES,
        "rows": [
            {
                "name": line.short,
                "colour": line.colour,
                "again": line.again,
                "played": {
                    start: {seed: list(episode) for seed, episode in by_seed.items()}
                    for start, by_seed in line.played.items()
                },
                "films": {
                    start: {
                        "seed": film.train_seed,
                        "film": film.film,
                        "poster": film.poster,
                        "path": [[round(x, 3) for x in place] for place in film.path],
                        "score": film.score,
                        "length": film.length,
                    }
                    for start, film in line.films.items()
                },
            }
            for line in content.lines
        ],
    }


def _copy(folder: Path, out: Path) -> None:
    """Copies the files that a page links to; links among them are refused."""
    for pattern in LINKED:
        for file in whole_files(folder.glob(pattern)):
            with atomic_write(out / file.relative_to(folder)) as aside:
                aside.write_bytes(read_without_links(file))


def _write_text(file: Path, text: str) -> None:
    """Writes a page whole or not at all, with the line ends that its digests have."""
    with atomic_write(file) as aside:
        aside.write_bytes(text.encode())


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

    text: str = get_plotlyjs()
    return text.replace("\r\n", "\n")


def _template(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].replace("\r\n", "\n")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: object) -> Markup:
    """Writes JSON that cannot end the element in which it stands."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _shades() -> list[str]:
    """Gives the map's colours, from score 0 to 1."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shares = [k / SHADES for k in range(SHADES + 1)]
    return [to_hex(colour) for colour in colormaps["cividis"](shares)]


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dp_bench.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["coded"] = _coded
    return environment


def _coded(text: str) -> Markup:
    """Escapes text, and shows what stands between backticks as code."""
    from markupsafe import Markup, escape

    escaped = str(escape(one_line(text)))
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", escaped))


def _printable(value: object) -> object:
    """Shows control characters of names as text; our own markup stays."""
    return one_line(value) if type(value) is str else value
