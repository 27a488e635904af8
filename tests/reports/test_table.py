import dataclasses
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record
from dp_bench.method import Method
from dp_bench.reports.table import summary, to_csv, to_latex, to_markdown, to_terminal
from dp_bench.task import Column, Task

GOLDEN = Path(__file__).parent / "golden"
REACH = Task(
    name="reach",
    env_id="test/Reach-v0",
    entry_point="",
    about="touch a point",
    max_steps=10,
    score="",
    variants={"plain": {}, "windy": {}},
    columns=(Column("p1", "1 point"),),
)


def row(method="alpha_1", scores=((0.5, 1.0),), **changes):
    """Records of one row: `scores[s][e]` of train seed s and start 100000 + e."""
    values = {
        "task": "reach",
        "obs_kind": "state",
        "control": "position",
        "method": method,
        "preset": "smoke",
        "settings": f"of {method}",
        "demos_digest": "d1",
        "split_digest": "p1",
        "order_digest": "o1",
        "step": 100,
        "starts": "test",
        "variant": "plain",
        "length": 7,
        "decision_latency": 0.004,
        "parameters": 1_250_000,
        "train_seconds": 75.0,
        "commit": "abc",
        "versions": {"numpy": "2.0", "python": "3.11"},
    }
    return [
        Record(
            **(
                values
                | {
                    "train_seed": train_seed,
                    "env_seed": 100_000 + start,
                    "score": score,
                    "success": score >= 1,
                    "sub_scores": {"p1": score / 2},
                }
                | changes
            )
        )
        for train_seed, line in enumerate(scores)
        for start, score in enumerate(line)
    ]


def published():
    header = "task,demos,obs,method,metric,selection,value,source"
    lines = [
        header,
        "reach,ph,state,alpha_1,score,last10,0.70,A & B (2020)",
        "reach,ph,state,alpha_1,score,max,0.90,A & B (2020)",
        "reach,ph,image,alpha_1,score,max,0.11,Nobody",
        "reach,mh,state,alpha_1,score,max,0.22,Nobody",
        "other,ph,state,alpha_1,score,max,0.33,Nobody",
    ]
    return pd.read_csv(io.StringIO("\n".join(lines)))


def three_rows():
    """Means and intervals that two starts allow to work out by hand.

    Resampled means of (a, b) are a, (a + b) / 2 and b; Wilson's interval is (0.09,
    0.91) for 1 of 2, (0, 0.66) for 0 of 2 and (0.34, 1) for 2 of 2.
    """
    return [
        *row("alpha_1"),
        *row("beta", ((0.0, 0.5),)),
        *row("gamma", ((1.0, 1.0),), demos_digest="d2"),
    ]


def table(records, **kwargs):
    return summary(records, REACH, **kwargs)


def by_method(result):
    return {row["method"]: row for _, row in result.data.iterrows()}


def on_terminal(result, width=100):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(to_terminal(result, width))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("table.md", to_markdown),
        ("table.tex", to_latex),
        ("table.csv", to_csv),
        ("table.txt", on_terminal),
    ],
)
def test_the_table_looks_as_it_did(name, write):
    text = write(table(three_rows(), published=published()))
    expected = (GOLDEN / name).read_text(encoding="utf-8")
    assert text.splitlines() == expected.splitlines()


def test_numbers_worked_out_by_hand():
    rows = by_method(table(three_rows()))
    assert list(rows["alpha_1"][["score", "score_low", "score_high"]]) == [0.75, 0.5, 1]
    assert rows["alpha_1"]["success_low"] == pytest.approx(0.0945, abs=5e-5)
    assert list(rows["beta"][["p1", "p1_low", "p1_high"]]) == [0.125, 0.0, 0.25]
    difference = rows["beta"][["difference", "difference_low", "difference_high"]]
    assert list(difference) == [-0.5, -0.5, -0.5]


def test_the_order_of_the_records_does_not_matter():
    records = three_rows() + row("beta", ((0.2, 0.9),), variant="windy")
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    assert to_markdown(table(shuffled)) == to_markdown(table(records))


def test_a_row_does_not_depend_on_the_others():
    scores = np.random.default_rng(1).uniform(size=(3, 10))
    alone = by_method(table(row("beta", scores)))["beta"]
    among = by_method(table(row("beta", scores) + row("alpha_1", scores / 2)))["beta"]
    names = ["score", "score_low", "score_high", "success_low", "p1_high"]
    assert list(alone[names]) == list(among[names])


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (row("odd", ((0.1, 0.2),), demos_digest="d2"), "demonstrations d2, not d1"),
        (row("odd", ((0.1, 0.2, 0.3),)), "starts 100000-100002, not 100000-100001"),
        (row("odd", ((0.1, 0.2), (0.1, 0.2))), "train seeds 0-1, not 0"),
        (row("odd", ((0.1, 0.2),), split_digest="p2"), "another split into training"),
        (row("odd", ((0.1, 0.2),), order_digest="o2"), "another order of the training"),
    ],
)
def test_rows_that_are_not_comparable_are_marked(odd, words):
    result = table(row("alpha_1") + row("beta", ((0.0, 0.5),)) + odd)
    rows = by_method(result)
    assert words in rows["odd"]["differs"]
    assert not rows["alpha_1"]["differs"]
    assert not rows["beta"]["differs"]
    [note] = [line for line in result.footer if line.startswith("†")]
    assert "odd" in note
    assert words in note
    for text in (to_markdown(result), on_terminal(result)):
        marked = [line for line in text.splitlines() if "odd †" in line]
        assert len(marked) == 1
        assert re.search(r"0\.\d\d †", marked[0])


def test_other_demos_or_starts_are_never_subtracted():
    for odd in (
        row("odd", ((0.9, 1.0),), demos_digest="d2"),
        row("odd", ((0.9, 1.0, 1.0),)),
    ):
        rows = by_method(table(row("alpha_1") + row("beta", ((0.0, 0.5),)) + odd))
        assert np.isnan(rows["odd"]["difference"])
        assert rows["alpha_1"]["best"]
        assert not rows["odd"]["best"]


def test_each_variant_has_a_best_row_and_the_first_variant_leads():
    scores = {"windy": ((0.2, 0.3),), "plain": ((0.6, 0.7),)}
    records = [
        record
        for variant, line in scores.items()
        for record in row("alpha_1", line, variant=variant)
        + row("beta", np.array(line) - 0.1, variant=variant)
    ]
    data = table(records).data
    assert data["variant"].tolist() == ["plain", "plain", "windy", "windy"]
    assert data["best"].tolist() == [True, False, True, False]
    assert data["difference"].dropna().tolist() == pytest.approx([-0.1, -0.1])


def test_circumstances_that_are_shared_are_said_once():
    text = to_markdown(table(three_rows()))
    assert "variant plain, observation state, control position" in text
    assert "| variant" not in text
    records = three_rows() + row("beta", ((0.0, 0.5),), variant="windy")
    text = to_markdown(table(records))
    assert "| variant" in text
    assert "variant plain" not in text


def test_other_settings_are_another_row():
    records = row("beta") + row("beta", ((0.0, 0.5),), settings="lr 1")
    data = table(records).data
    assert data["settings"].tolist() == ["of beta", "lr 1"]
    assert "lr 1" in to_markdown(table(records))


def test_the_last_step_is_shown_or_all_steps_are():
    records = row("beta", ((0.9, 0.8),), step=50) + row("beta", step=100)
    assert table(records).data["step"].tolist() == [100]
    everything = table(records, steps="all")
    assert everything.data["step"].tolist() == [50, 100]
    assert "| updates" in to_markdown(everything)


def test_starts_that_a_seed_lacks_are_left_out_and_named():
    records = row("alpha_1", ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3)))
    records += row("beta", ((0.1, 0.2, 0.3), (0.5, 0.6)))
    result = table(records)
    beta = by_method(result)["beta"]
    assert beta["num_starts"] == 2
    assert beta["score"] == pytest.approx((0.1 + 0.2 + 0.5 + 0.6) / 4)
    differs = "unfinished; starts 100000-100001, not 100000-100002"
    assert beta["differs"] == differs
    assert any("beta lacks the starts 100002" in line for line in result.footer)


def test_a_grid_without_a_whole_column_is_refused():
    first, second = row("beta", ((0.1,), (0.2,)))
    second = dataclasses.replace(second, env_seed=5)
    with pytest.raises(BadInput, match="'beta' has no start that all its train seeds"):
        table([first, second])


def test_an_episode_is_not_counted_twice():
    with pytest.raises(BadInput, match="train seed 0 and start 100001 twice"):
        table(row("beta") + row("beta")[1:])


def test_records_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="no records"):
        table([])
    with pytest.raises(BadInput, match="of task 'reach', these are of other, reach"):
        table(row() + row(task="other"))
    mixed = row(split_digest="p1")[:1] + row(split_digest="p2")[1:]
    with pytest.raises(BadInput, match="two splits"):
        table(mixed)


def test_published_values_stand_beside_the_right_rows():
    records = row("alpha_1") + row("alpha_1", obs_kind="image") + row("beta")
    result = table(records, published=published())
    values = result.data.set_index(["method", "obs_kind"])["score_published_max"]
    assert values["alpha_1", "state"] == 0.9
    assert values["alpha_1", "image"] == 0.11
    assert np.isnan(values["beta", "state"])
    other = table(records, published=published(), published_demos="mh")
    assert other.data["score_published_max"].max() == 0.22
    with pytest.raises(BadInput, match="no demonstrations 'xy'; they have mh, ph"):
        table(records, published=published(), published_demos="xy")


def test_a_sub_score_that_is_not_everywhere_has_no_mean():
    records = row("beta")
    records[0] = dataclasses.replace(records[0], sub_scores={})
    beta = by_method(table(records))["beta"]
    assert np.isnan(beta["p1"])
    assert beta["score"] == 0.75


def test_an_unknown_task_shows_all_its_sub_scores():
    result = summary(row("beta", task="nobody_knows"))
    assert [column.key for column in result.columns] == ["p1"]
    assert result.title == "nobody_knows"


def test_titles_of_methods_come_from_the_table_of_methods(monkeypatch):
    known = Method(name="beta", title="Beta | 2", policy="")
    monkeypatch.setattr(registry, "methods", lambda: {"beta": known})
    text = to_markdown(table(three_rows()))
    assert "Beta \\| 2" in text
    assert "alpha" in text


def test_latex_escapes_what_it_must_and_keeps_its_columns():
    hostile = r"[50%] {a}_b & c^2 ~ #1 $x$ \x <y> |z|"
    text = to_latex(table(three_rows() + row(hostile, ((0.1, 0.2),))))
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 5
    counts = {len(re.findall(r"(?<!\\)&", line)) for line in lines}
    [spec] = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert counts == {len(spec) - 1}
    bare = re.sub(r"\\[&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[%#_~<>|†×–−]", bare)  # noqa: RUF001
    begun, ended = (re.findall(rf"\\{w}{{(\w+)}}", text) for w in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert not re.search(r"\\\\\s*\[", text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_compiles(tmp_path):
    hostile = r"[50%] {a}_b & c^2 ~ #1 $x$ \x <y> |z|"
    result = table(three_rows() + row(hostile, ((0.1, 0.2),)), published=published())
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    text = "\n".join([head, to_latex(result), r"\end{document}"])
    (tmp_path / "a.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_raw_numbers_survive_the_csv():
    result = table(three_rows(), published=published())
    back = pd.read_csv(io.StringIO(to_csv(result)))
    np.testing.assert_allclose(back["success_low"], result.data["success_low"])
    assert list(back) == list(result.data)


def test_a_wide_table_fits_a_terminal():
    many = dataclasses.replace(
        REACH, columns=tuple(Column(f"p{k}", f"p{k}") for k in range(1, 8))
    )
    sub_scores = {f"p{k}": 0.5 for k in range(1, 8)}
    records = row("a" * 15) + row("a method with a long name")
    records += row("a" * 15, variant="windy")
    records = [dataclasses.replace(r, sub_scores=sub_scores) for r in records]
    result = summary(records, many)
    for width in (100, 80):
        text = on_terminal(result, width)
        assert max(map(len, text.splitlines())) <= width
        assert "0.75" in text
        assert "[0.50, 1.00]" in text
        assert "Not shown: parameters, training, decision" in " ".join(text.split())
        assert "[low, high]" in text


def test_a_column_can_show_how_evenly_choices_are_spread():
    task = dataclasses.replace(
        REACH, columns=(Column("way", "order entropy", statistic="entropy"),)
    )
    both = [
        dataclasses.replace(record, sub_scores={"way": k % 2})
        for k, record in enumerate(row("alpha_1", ((0.5,) * 8,)))
    ]
    one = [
        dataclasses.replace(record, sub_scores={"way": 3.0})
        for record in row("beta", ((0.5,) * 8,))
    ]
    result = summary(both + one, task)
    ways = by_method(result)
    assert ways["alpha_1"]["way"] == 1.0
    assert ways["beta"]["way"] == 0.0
    assert any("Order entropy: how evenly" in line for line in result.footer)
    assert "order entropy" in to_markdown(result)
