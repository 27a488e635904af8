"""What all figures share: they are whole, alike, and leave settings alone."""

import dataclasses

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import to_frame
from dp_bench.reports.plots.curves import learning_curves, loss_curves
from dp_bench.reports.plots.scores import success_bars
from dp_bench.reports.plots.style import save
from dp_bench.reports.trainings import Curve
from made_up_records import episodes, random_table, training


def test_axes_that_are_given_are_used_and_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    left, right = Figure().subplots(1, 2)
    assert success_bars(random_table(), left) is left
    assert loss_curves({Curve("m", "run"): [training(0)]}, [right]) == [right]
    assert dict(matplotlib.rcParams) == before


def test_nothing_is_cut_off():
    """Texts lie inside the figure, or they would be missing in the file."""
    draw = np.random.default_rng(0).uniform
    frame = to_frame(
        episodes("a method with a long name", draw(size=(2, 8)), step=123_456)
    )
    long_curve = Curve("long", "a method with a long name (LONG)")
    [losses] = loss_curves({long_curve: [training(0), training(1, val_loss=0.5)]})
    title = "a task: to do this, to do that, in any order at all"
    long = dataclasses.replace(random_table(), title=title)
    for ax in (success_bars(long), learning_curves(frame), losses):
        ax.figure.draw_without_rendering()
        page = ax.figure.bbox
        inside = [ax._left_title, *ax.texts]
        if ax is not losses:  # a logarithmic axis keeps labels that it does not show
            inside += [*ax.get_yticklabels(), *ax.get_legend().get_texts()]
        for text in filter(Text.get_text, inside):
            box = text.get_window_extent()
            assert box.x0 >= page.x0 - 1, text
            assert box.x1 <= page.x1 + 1, text
            assert box.y0 >= page.y0 - 1, text
            assert box.y1 <= page.y1 + 1, text


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_figures_are_written_whole_and_alike(tmp_path, ending):
    first, second = (tmp_path / "new" / f"{name}.{ending}" for name in "ab")
    for path in (first, second):
        save(success_bars(random_table()).figure, path)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == [
        first.name,
        second.name,
    ]


def test_a_figure_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    figure = Figure()
    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(BadInput, match="disk full"):
        save(figure, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadInput, match="must end in one of"):
        save(figure, tmp_path / "a.xyz")
