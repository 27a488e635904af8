"""The figure of rollouts from a fork."""

import itertools

import numpy as np

from dp_bench.evaluation.choices import Choice
from dp_bench.reports.plots.multimodality import (
    BROKEN,
    LEFT,
    NEITHER,
    RIGHT,
    STUCK,
    rollouts_from_fork,
)
from dp_bench.statistics.estimates import Estimate
from dp_bench.task import Fork


def rollouts(
    title="a method",
    sides=(-1, 1, 1, 0, 0),
    committed=(True, True, False, False, False),
    is_round=(True, True, True, True, False),
):
    rng = np.random.default_rng(0)
    return Choice(
        title=title,
        paths=[rng.uniform(1, 9, size=(5, 2)) for _ in sides],
        sides=np.array(sides),
        committed=np.array(committed),
        is_round=np.array(is_round),
        left=Estimate(1 / 3, 0.06, 0.79, 0.95, 1, 3),
        commits=Estimate(0.5, 0.15, 0.85, 0.95, 1, 4),
    )


SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
SCENE = {"table": [SQUARE], "goal": [SQUARE / 2], "block": [SQUARE / 5]}
FORK = Fork(start=(3.0, 4.0), steps=4, judge="", scene="", unit="cm", downwards=True)


def test_paths_are_coloured_by_their_side_and_broken_where_they_changed_it():
    choice = rollouts()
    [ax] = rollouts_from_fork([choice], FORK, SCENE)
    paths = [line for line in ax.lines if len(line.get_xdata()) == 5]
    for line, path in zip(paths, choice.paths, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), path)
    assert [p.get_color() for p in paths] == [LEFT, RIGHT, RIGHT, NEITHER, NEITHER]
    looks = [p._unscaled_dash_pattern for p in paths]
    whole, dashed = (0, None), STUCK
    assert looks == [whole, whole, BROKEN, whole, dashed]
    assert ax.get_title(loc="left").split("\n") == [
        "a method",
        "left 1 of 3 [0.06, 0.79]",
        "commits 2 of 5 [0.15, 0.85]",
        "not round 1 of 5",
    ]
    assert len(ax.patches) == 3
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "x [cm]"


def test_the_image_of_many_methods_is_not_cut_off():
    long = "a method with a very long name, settings 123456, demonstrations 12345678"
    for number in (1, 2, 3, 5, 7):
        axes = rollouts_from_fork([rollouts(long)] * number, FORK, SCENE)
        assert len(axes) == number
        figure = axes[0].figure
        figure.draw_without_rendering()
        assert list(axes) == figure.axes
        boxes = [ax.get_tightbbox() for ax in axes]
        boxes += [legend.get_window_extent() for legend in figure.legends]
        for box in boxes:
            assert box.x0 >= figure.bbox.x0 - 1
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y0 >= figure.bbox.y0 - 1
            assert box.y1 <= figure.bbox.y1 + 1
        for one, other in itertools.pairwise(boxes):
            assert not (one.shrunk(0.98, 0.98).overlaps(other)), "panels lie apart"
