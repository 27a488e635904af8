"""Figures of training."""

import dataclasses

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import to_frame
from dp_bench.reports.plots.curves import learning_curves, loss_curves, stability
from dp_bench.reports.trainings import Curve
from made_up_records import episodes, log_line, texts, training

M, N = Curve("m", "M"), Curve("n", "N")


def test_a_learning_curve_passes_through_the_means():
    scores = np.random.default_rng(0).uniform(size=(2, 6))
    records = episodes("m", scores / 2, step=10) + episodes("m", scores, step=20)
    ax = learning_curves(to_frame(records))
    [line] = ax.lines
    np.testing.assert_allclose(line.get_xdata(), [10, 20])
    np.testing.assert_allclose(line.get_ydata(), [scores.mean() / 2, scores.mean()])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() < scores.mean() / 2
    assert band[:, 1].max() > scores.mean()


def test_a_learning_curve_of_a_sub_score_passes_through_its_means():
    records = []
    for step, blocks in ((10, [0, 1, 0, 0]), (20, [1, 1, 0, 1])):
        made = episodes("m", [[0.9] * 4], step=step)
        records += [
            dataclasses.replace(record, sub_scores={"p1": float(p1)})
            for record, p1 in zip(made, blocks, strict=True)
        ]
    ax = learning_curves(to_frame(records), column="p1", title="one block")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.25, 0.75])
    assert ax.get_ylabel() == "one block on test starts"


def test_runs_that_differ_in_anything_are_not_one_curve():
    scores = [[0.1, 0.2]]
    frame = to_frame(
        episodes("m", scores)
        + episodes("m", scores, variant="windy")
        + episodes("m", scores, settings="other")
        + episodes("n", scores)
    )
    ax = learning_curves(frame)
    assert len(ax.lines) == 4
    looks = {(line.get_color(), line._unscaled_dash_pattern) for line in ax.lines}
    assert len(looks) == 4
    labels = [line.get_label() for line in ax.lines]
    assert len(set(labels)) == 4
    with pytest.raises(BadInput, match="of one task, these records are of a, reach"):
        learning_curves(
            to_frame(episodes("m", scores) + episodes("m", scores, task="a"))
        )


def test_losses_are_drawn_where_they_were_measured():
    val_losses = [None, None, 0.7, None, float("nan")]
    log = [
        log_line(i, 1 / i, val_loss=val_loss)
        for i, val_loss in enumerate(val_losses, start=1)
    ]
    [ax] = loss_curves({Curve("m", "run"): [log]})
    train, val = ax.lines
    np.testing.assert_allclose(train.get_ydata(), [1 / i for i in range(1, 6)])
    assert (list(val.get_xdata()), list(val.get_ydata())) == ([3], [0.7])
    assert ax.get_yscale() == "log"
    with pytest.raises(BadInput, match="'empty' has no line"):
        loss_curves({Curve("m", "empty"): [[log_line(1, float("nan"))]]})


def test_negative_losses_stay_visible():
    [ax] = loss_curves({Curve("m", "run"): [[log_line(i, 2.0 - i) for i in range(5)]]})
    low, high = ax.get_ylim()
    assert low < -2
    assert high > 2


def test_a_long_noisy_loss_is_smoothed_but_not_moved():
    noise = np.random.default_rng(0).normal(size=600) * 0.1
    log = [log_line(i, 1 + noise[i]) for i in range(600)]
    raw, smooth, _ = loss_curves({Curve("m", "run"): [log]})[0].lines
    assert len(raw.get_xdata()) == len(smooth.get_xdata()) == 600
    assert np.std(smooth.get_ydata()) < 0.5 * np.std(raw.get_ydata())
    assert np.mean(smooth.get_ydata()) == pytest.approx(1, abs=0.02)


def test_each_method_has_a_panel_and_its_trainings_share_a_colour():
    left, right = loss_curves({M: [training(0), training(1)], N: [training(2)]})
    m, _, m_too, _ = (line.get_color() for line in left.lines)
    n, _ = (line.get_color() for line in right.lines)
    assert m == m_too != n
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["M", "N"]
    assert "one line for each training" in right.texts[-1].get_text()


def test_stability_puts_error_and_score_over_the_same_updates():
    scores = np.random.default_rng(0).uniform(size=(2, 6))
    steps = episodes("m", scores / 2, step=10) + episodes("m", scores, step=20)
    logs = {M: [training(0, val_action_error=0.3), training(1)], N: [training(2)]}
    logs[M][0][1] = dataclasses.replace(logs[M][0][1], val_action_error=None)
    frames = {
        M: to_frame(steps),
        N: to_frame(episodes("n", scores, step=10) + episodes("n", scores, step=20)),
    }
    top, bottom = stability(logs, frames)
    m, n = (line.get_color() for line in bottom.lines)
    assert m != n
    assert [line.get_color() for line in top.lines] == [m, m, n]
    assert list(top.lines[0].get_xdata()) == [10, 30]
    assert list(top.lines[0].get_ydata()) == [0.3, 0.3]
    assert not top.texts
    curve = bottom.lines[0]
    np.testing.assert_allclose(curve.get_xdata(), [10, 20])
    np.testing.assert_allclose(curve.get_ydata(), [scores.mean() / 2, scores.mean()])
    assert len({ax.get_xlim() for ax in (top, bottom)}) == 1
    [legend] = top.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["M", "N"]
    assert "2 train seeds × 6 starts" in texts(bottom)  # noqa: RUF001


def test_stability_says_where_nothing_was_measured_or_does_not_belong_together():
    frame = to_frame(episodes("m", [[0.1, 0.2]]))
    top, _ = stability({}, {M: frame})
    assert not top.lines
    assert "not measured" in texts(top)
    windy = to_frame(episodes("m", [[0.1]], variant="windy"))
    with pytest.raises(BadInput, match=r"one variant, .* are of plain, windy"):
        stability({}, {M: frame, Curve("m", "w"): windy})
    with pytest.raises(BadInput, match="these records are of none"):
        stability({}, {})
