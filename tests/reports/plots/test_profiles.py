"""Figures in the sense of rliable."""

import numpy as np
import pytest
from matplotlib.text import Text

from dp_bench.errors import BadInput
from dp_bench.reports.plots.profiles import (
    THRESHOLDS,
    compared_blocks,
    probabilities,
    profile_blocks,
    profiles,
)
from dp_bench.reports.summary import summary
from dp_bench.statistics.profiles import probability_of_beating
from made_up_records import episodes, random_table, texts

GOOD = [[0.9, 0.7], [0.8, 0.8], [0.7, 0.7]]
BAD = [[0.6, 0.6], [0.7, 0.7], [0.1, 0.3]]


def shown(figure):
    """All texts of a figure that are not empty."""
    return [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def test_a_profile_falls_where_episodes_have_their_scores():
    [ax] = profiles(summary(episodes("bet", [[0.25, 0.5], [0.5, 1.0]], sub_scores={})))
    [line] = ax.lines
    assert line.get_drawstyle() == "steps-post"
    shares = dict(zip(np.round(line.get_xdata(), 6), line.get_ydata(), strict=True))
    assert [shares[tau] for tau in (0.0, 0.245, 0.25, 0.495, 0.5, 0.995, 1.0)] == [
        1, 1, 0.75, 0.75, 0.25, 0.25, 0.25,
    ]  # fmt: skip
    [band] = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() < 0.25
    assert heights.max() <= 1
    assert "2 train seeds × 2 starts\nbands are pointwise 95%" in texts(ax)  # noqa: RUF001
    assert ax.get_ylabel() == "share of episodes\nwith a higher score"


def test_one_training_has_no_band_and_a_marked_row_its_dagger():
    table = summary(
        [
            *episodes("bet", [[0.2, 0.5]]),
            *episodes("ibc", GOOD),
            *episodes("dp_c", BAD),
        ]
    )
    [ax] = profiles(table)
    assert len(ax.lines) == 3
    assert len(ax.collections) == 2
    [legend] = ax.figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "BET †",
        "IBC",
        "Diffusion Policy, CNN (DP-C)",
    }
    assert "no band: of one training" in texts(ax)
    assert "† not comparable with the others" in texts(ax)


def test_successes_alone_have_no_profile():
    table = summary(
        episodes("bet", [[0.0, 1.0], [1.0, 1.0]])
        + episodes("bet", [[0.5, 1.0]] * 2, variant="windy")
    )
    [[row]] = profile_blocks(table)
    assert row.variant == "windy"
    with pytest.raises(BadInput, match="all are 0 or 1"):
        profiles(summary(episodes("bet", [[0.0, 1.0]])))


def test_each_variant_has_a_panel():
    table = summary(
        episodes("bet", GOOD) + episodes("bet", BAD, variant="windy", settings="w")
    )
    axes = profiles(table)
    assert [ax.get_title(loc="left") for ax in axes] == [
        "variant plain",
        "variant windy",
    ]
    assert [line.get_ydata()[-1] for ax in axes for line in ax.lines] == [0, 0]
    assert len(THRESHOLDS) == len(axes[0].lines[0].get_xdata())


def test_rows_of_one_method_are_told_apart_by_as_little_as_possible():
    table = summary(
        episodes("bet", GOOD)
        + episodes("bet", BAD, control="velocity", settings="other")
        + episodes("ibc", BAD)
    )
    [ax] = profiles(table)
    assert {line.get_label() for line in ax.lines} == {
        "BET, position",
        "BET, velocity",
        "IBC",
    }


def test_a_pair_is_drawn_at_its_probability():
    table = summary(episodes("ibc", BAD) + episodes("bet", GOOD))
    [ax] = probabilities(table)
    [(point, _, [interval])] = ax.containers
    expected = probability_of_beating(np.array(GOOD), np.array(BAD))
    assert expected.value == pytest.approx(8.5 / 9)
    assert point.get_xdata() == [expected.value]
    ends = interval.get_segments()[0][:, 0]
    np.testing.assert_allclose(ends, expected[1:3])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["BET"]
    assert "IBC" in texts(ax)
    assert "3 train seeds × 2 starts, the same starts for all" in texts(ax)  # noqa: RUF001
    label = " ".join(ax.get_xlabel().split())
    assert "left method has the higher score" in label


def test_marked_rows_and_single_trainings_take_no_part():
    table = summary(
        episodes("ibc", BAD)
        + episodes("bet", GOOD)
        + episodes("dp_t", GOOD, demos_digest="d2")
        + episodes("dp_c", GOOD[:1])
    )
    [rows] = compared_blocks(table)
    assert [row.method for row in rows] == ["bet", "ibc"]
    [ax] = probabilities(table)
    assert len(ax.containers) == 1
    assert "2 rows are left out: marked, of one training, or alone" in texts(ax)
    alone = summary(episodes("dp_c", GOOD[:1]) + episodes("bet", GOOD[:1]))
    assert not compared_blocks(alone)
    with pytest.raises(BadInput, match="two comparable rows"):
        probabilities(alone)


def test_every_pair_of_every_variant_has_a_line():
    records = []
    for variant in ("plain", "windy"):
        for k, method in enumerate(("dp_c", "bet", "ibc", "dp_t")):
            scores = np.array(GOOD) - 0.1 * k
            records += episodes(method, scores, variant=variant)
    axes = probabilities(summary(records))
    assert [len(ax.containers) for ax in axes] == [6, 6]
    lefts = [label.get_text() for label in axes[0].get_yticklabels()]
    assert lefts[:3] == ["Diffusion Policy, CNN (DP-C)"] * 3
    assert lefts[3:] == ["BET", "BET", "IBC"]


def test_nothing_is_cut_off():
    draw = np.random.default_rng(0).uniform
    title = "a method with quite a long name"
    long = [
        *episodes("dp_t", draw(size=(2, 8)), control="velocity", settings="v"),
        *episodes("dp_t", draw(size=(2, 8))),
        *episodes(title, draw(size=(2, 8)), demos_digest="d1"),
        *episodes("bet", draw(size=(2, 8)), variant="windy"),
        *episodes("ibc", draw(size=(2, 8)), variant="windy"),
    ]
    for table in (random_table(), summary(long)):
        for axes in (profiles(table), probabilities(table)):
            figure = axes[0].figure
            figure.draw_without_rendering()
            page = figure.bbox
            for text in shown(figure):
                box = text.get_window_extent()
                assert box.x0 >= page.x0 - 1, text
                assert box.x1 <= page.x1 + 1, text
                assert box.y0 >= page.y0 - 1, text
                assert box.y1 <= page.y1 + 1, text
