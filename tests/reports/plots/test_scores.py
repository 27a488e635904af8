"""Figures of final scores."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dp_bench.reports.plots.scores import side_by_side, success_bars
from dp_bench.reports.published import published_values
from dp_bench.reports.summary import summary
from made_up_records import episodes, random_table, texts


def test_every_row_is_drawn_at_its_values():
    result = random_table()
    ax = success_bars(result)
    number = len(result.rows)
    for k, key in enumerate(("score", "success")):
        drawn = [
            (*data_line.get_xdata(), *interval.get_segments()[0][:, 0])
            for data_line, _, [interval] in ax.containers[k * number :][:number]
        ]
        estimates = [row.estimates[key] for row in result.rows]
        np.testing.assert_allclose(drawn, [estimate[:3] for estimate in estimates])
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["score", "success rate", "score by training"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [
        row.title + (" †" if row.title == "odd" else "") for row in result.rows
    ]
    low, high = ax.get_ylim()
    assert low > high, "the best row is on top"
    assert "2 train seeds × 8 starts" in texts(ax)  # noqa: RUF001
    assert "† not comparable" in texts(ax)


def test_the_score_of_each_training_is_drawn_beside_the_interval():
    several = [[0.2, 0.4], [0.5, 0.5], [0.9, 0.7]]
    ax = success_bars(summary(episodes("bet", several) + episodes("ibc", [[0.1, 0.2]])))
    heights = {bar[0].get_ydata()[0] for bar in ax.containers}
    points = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert [sorted(line.get_xdata()) for line in points] == [
        [pytest.approx(0.3), pytest.approx(0.5), pytest.approx(0.8)]
    ]
    assert not heights & {*points[0].get_ydata()}
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["score", "success rate", "score by training"]
    ax = success_bars(summary(episodes("ibc", [[0.1, 0.2]])))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["score", "success rate"]


def test_columns_with_curves_stand_for_success():
    made = episodes("m", [[0.9, 0.1, 0.4, 0.6]])
    records = [
        dataclasses.replace(r, task="blockpush", sub_scores={"p1": p1, "p2": 0.0})
        for r, p1 in zip(made, [1.0, 0.0, 1.0, 1.0], strict=True)
    ]
    ax = success_bars(summary(records))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    shown = dict(
        zip(labels, (bar[0].get_xdata() for bar in ax.containers), strict=True)
    )
    assert shown == {"score": [0.5], "p1": [0.75], "p2": [0.0]}
    assert " ".join(ax.get_xlabel().split()) == (
        "score, and share of episodes with at least n blocks in targets (p1 and p2)"
    )


def test_success_is_not_drawn_again_where_it_is_the_score():
    ax = success_bars(summary(episodes("bet", [[1.0, 0.0]], sub_scores={})))
    assert ax.get_xlabel() == "share of solved episodes"
    assert len(ax.containers) == 1


def test_published_values_stand_beside_each_share_and_never_beside_a_smoke_test():
    made = episodes("bet", [[0.9, 0.1]])
    records = [
        dataclasses.replace(
            r, task="blockpush", preset="laptop", sub_scores={"p1": 1.0, "p2": 0.0}
        )
        for r in made
    ]
    values = published_values(Path("nowhere"))
    ax = success_bars(summary(records, published=values))
    p1, p2 = (bar[0].get_ydata()[0] for bar in ax.containers[1:3])
    places = {
        (float(x), float(y)) for x, y in offsets_of_marks(ax) if x in (0.96, 0.71)
    }
    assert places == {(0.96, p1), (0.71, p2)}  # of BET, as Chi et al. (2023) give them
    smoke = [dataclasses.replace(r, preset="smoke") for r in records]
    assert offsets_of_marks(success_bars(summary(smoke, published=values))) == []


def offsets_of_marks(ax):
    """Places of the published values."""
    marks = [c for c in ax.collections if c.get_label().startswith("published")]
    return [place for c in marks for place in c.get_offsets()]


def test_a_group_has_a_panel_for_each_task_and_the_best_row_of_each_method():
    can = [*episodes("bet", [[0.4, 0.6]]), *episodes("bet", [[0.1, 0.1]], settings="b")]
    lift = [*episodes("bet", [[1.0, 1.0]]), *episodes("ibc", [[0.0, 0.5]])]
    figure = side_by_side({"can": summary(can), "lift": summary(lift)})
    drawn = [
        {
            (float(bar[0].get_xdata()[0]), int(bar[0].get_ydata()[0]))
            for bar in ax.containers
        }
        for ax in figure.axes
    ]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    places = {name: k for k, name in enumerate(names)}
    assert drawn == [
        {(0.5, places["BET"])},
        {(1.0, places["BET"]), (0.25, places["IBC"])},
    ]
    assert [ax.get_title() for ax in figure.axes] == ["can", "lift"]
