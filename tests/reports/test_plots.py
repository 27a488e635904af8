import dataclasses
import itertools
import json

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dp_bench.errors import BadInput
from dp_bench.evaluation.multimodality import Choice
from dp_bench.evaluation.records import Record, append, to_frame
from dp_bench.reports import plots, report
from dp_bench.reports.plots import (
    LEFT,
    NEITHER,
    RIGHT,
    controls,
    learning_curves,
    loss_curves,
    modes,
    save,
    stability,
    success_bars,
)
from dp_bench.reports.table import summary
from dp_bench.statistics.estimates import Estimate
from dp_bench.task import Fork


def episodes(method, scores, step=100, variant="default", **changes):
    return [
        Record(
            **{
                "task": "reach",
                "obs_kind": "state",
                "control": "position",
                "method": method,
                "preset": "smoke",
                "settings": "s",
                "demos_digest": "d1",
                "split_digest": "p1",
                "train_seed": train_seed,
                "step": step,
                "starts": "test",
                "variant": variant,
                "env_seed": start,
                "score": score,
                "success": score > 0.6,
                "sub_scores": {},
                "length": 7,
                "decision_latency": 0.01,
                "parameters": 12,
                "train_seconds": 1.0,
                "commit": "",
                "versions": {},
                **changes,
            }
        )
        for train_seed, line in enumerate(scores)
        for start, score in enumerate(line)
    ]


def table():
    draw = np.random.default_rng(0).uniform
    return summary(
        episodes("good", draw(0.5, 1, size=(2, 8)))
        + episodes("bad", draw(0, 0.5, size=(2, 8)))
        + episodes("odd", draw(0, 0.5, size=(2, 8)), demos_digest="d2")
    )


def texts(ax):
    found = [text.get_text() for text in ax.texts]
    return "\n".join([*found, ax.get_xlabel(), ax.get_ylabel()])


def test_every_row_is_drawn_at_its_values():
    result = table()
    ax = success_bars(result)
    lines = {line.get_label(): line for line in ax.lines}
    bars = {bar.get_label(): bar for bar in ax.containers}
    for key, label in (("score", "score"), ("success", "success rate")):
        data_line, _, [interval] = bars[label]
        np.testing.assert_allclose(data_line.get_xdata(), result.data[key])
        ends = np.array([part[:, 0] for part in interval.get_segments()])
        np.testing.assert_allclose(ends, result.data[[f"{key}_low", f"{key}_high"]])
    assert lines
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [
        name + (" †" if name == "odd" else "") for name in result.data["title"]
    ]
    low, high = ax.get_ylim()
    assert low > high, "the best row is on top"
    assert "2 train seeds × 8 starts" in texts(ax)  # noqa: RUF001
    assert "† not comparable" in texts(ax)


def test_columns_with_curves_stand_for_success():
    made = episodes("m", [[0.9, 0.1, 0.4, 0.6]])
    records = [
        dataclasses.replace(r, task="blockpush", sub_scores={"p1": p1, "p2": 0.0})
        for r, p1 in zip(made, [1.0, 0.0, 1.0, 1.0], strict=True)
    ]
    ax = success_bars(summary(records))
    shown = {bar.get_label(): bar[0].get_xdata() for bar in ax.containers}
    assert shown == {"score": [0.5], "p1": [0.75], "p2": [0.0]}
    assert ax.get_xlabel() == "score, and share of episodes with p1 and p2"


def test_each_method_has_a_panel_with_its_scores_under_both_controls():
    records = [
        *episodes("dp_c", [[1.0, 0.5]]),
        *episodes("dp_c", [[0.25, 0.25]], control="velocity", settings="v"),
        *episodes("bet", [[0.0, 0.5]]),
        *episodes("bet", [[0.75, 1.0]], control="velocity", settings="v"),
        *episodes("ibc", [[0.0, 0.0]]),
    ]
    axes = controls(summary(records))
    titles = [" ".join(ax.get_title(loc="left").split()) for ax in axes]
    assert titles == [
        "Diffusion Policy, CNN (DP-C)",
        "BET",
    ]
    drawn = [
        {
            label: handle.lines[0].get_ydata().tolist()
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        for ax in axes
    ]
    assert drawn == [
        {"position": [0.75, 0.5], "velocity": [0.25, 0.0]},
        {"position": [0.25, 0.0], "velocity": [0.875, 1.0]},
    ]


def test_a_figure_of_controls_needs_a_method_with_both():
    with pytest.raises(BadInput, match="no method has rows with two controls"):
        controls(summary(episodes("dp_c", [[1.0]])))


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
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 4
    labels = [line.get_label() for line in ax.lines]
    assert len(set(labels)) == 4
    with pytest.raises(BadInput, match="of one task, these records are of a, reach"):
        learning_curves(
            to_frame(episodes("m", scores) + episodes("m", scores, task="a"))
        )


def test_losses_are_drawn_where_they_were_measured():
    log = [{"update": i, "loss": 1 / i} for i in range(1, 6)]
    log[2]["val_loss"] = 0.7
    log[4]["val_loss"] = float("nan")
    ax = loss_curves({"run": [log]})
    train, val = ax.lines
    np.testing.assert_allclose(train.get_ydata(), [1 / i for i in range(1, 6)])
    assert (list(val.get_xdata()), list(val.get_ydata())) == ([3], [0.7])
    assert ax.get_yscale() == "log"
    with pytest.raises(BadInput, match="'empty' has no line"):
        loss_curves({"empty": [[{"update": 1}]]})


def test_negative_losses_stay_visible():
    ax = loss_curves({"run": [[{"update": i, "loss": 2.0 - i} for i in range(5)]]})
    low, high = ax.get_ylim()
    assert low < -2
    assert high > 2


def test_a_long_noisy_loss_is_smoothed_but_not_moved():
    noise = np.random.default_rng(0).normal(size=600) * 0.1
    log = [{"update": i, "loss": 1 + noise[i]} for i in range(600)]
    raw, smooth, _ = loss_curves({"run": [log]}).lines
    assert len(raw.get_xdata()) == len(smooth.get_xdata()) == 600
    assert np.std(smooth.get_ydata()) < 0.5 * np.std(raw.get_ydata())
    assert np.mean(smooth.get_ydata()) == pytest.approx(1, abs=0.02)


def test_trainings_of_one_method_share_a_colour_and_a_line_of_the_legend():
    ax = loss_curves({"M": [training(0), training(1)], "N": [training(2)]})
    m, _, m_too, _, n, _ = (line.get_color() for line in ax.lines)
    assert m == m_too != n
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["M", "N"]
    assert "one line for each training" in ax.texts[-1].get_text()


def training(seed, **more):
    draw = np.random.default_rng(seed).uniform
    return [{"update": i, "loss": draw(0.1, 1), **more} for i in (10, 20, 30)]


def test_stability_puts_loss_error_and_score_over_the_same_updates():
    scores = np.random.default_rng(0).uniform(size=(2, 6))
    steps = episodes("m", scores / 2, step=10) + episodes("m", scores, step=20)
    logs = {"M": [training(0, val_action_error=0.3), training(1)], "N": [training(2)]}
    logs["M"][0][1].pop("val_action_error")
    frames = {
        "M": to_frame(steps),
        "N": to_frame(episodes("n", scores, 10) + episodes("n", scores, 20)),
    }
    top, middle, bottom = stability(logs, frames)
    drawn = [(line.get_color(), list(line.get_ydata())) for line in top.lines]
    m, n = (line.get_color() for line in bottom.lines)
    assert m != n
    assert drawn == [
        (colour, [line["loss"] for line in log])
        for colour, log in ((m, logs["M"][0]), (m, logs["M"][1]), (n, logs["N"][0]))
    ]
    assert list(middle.lines[0].get_xdata()) == [10, 30]
    assert list(middle.lines[0].get_ydata()) == [0.3, 0.3]
    assert not middle.texts
    curve = bottom.lines[0]
    np.testing.assert_allclose(curve.get_xdata(), [10, 20])
    np.testing.assert_allclose(curve.get_ydata(), [scores.mean() / 2, scores.mean()])
    assert len({ax.get_xlim() for ax in (top, middle, bottom)}) == 1
    [legend] = top.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["M", "N"]
    assert "2 train seeds × 6 starts" in texts(bottom)  # noqa: RUF001


def test_stability_says_where_nothing_was_measured_or_does_not_belong_together():
    frame = to_frame(episodes("m", [[0.1, 0.2]]))
    top, middle, _ = stability({}, {"m": frame})
    assert not top.lines
    assert "not measured" in texts(middle)
    windy = to_frame(episodes("m", [[0.1]], variant="windy"))
    with pytest.raises(BadInput, match="one variant, these records are of default, wi"):
        stability({}, {"m": frame, "w": windy})
    with pytest.raises(BadInput, match="these records are of none"):
        stability({}, {})


def test_a_report_puts_each_score_beside_the_logs_of_its_trainings(
    tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        plots, "stability", lambda *given: drawn.append(given) or stability(*given)
    )
    scores = [[0.2, 0.4], [0.3, 0.5]]
    found = episodes("n", scores, settings="t")
    for step in (10, 20):
        found += episodes("m", scores, step)
        found += episodes("m", scores, step, "windy")
        found += episodes("m", [[0.1]], step, settings="x")
    append(tmp_path / "records" / "all.jsonl", found)
    for name, digest in (
        ("m-s-aa-seed0", "d1"),
        ("m-s-aa-seed1", "d1"),
        ("m-s-bb-seed0", "d2"),
        ("n-t-aa-seed0", "d1"),
    ):
        info = {"method": name[0], "train_seed": int(name[-1]), "demos_digest": digest}
        for folder, ending, text in (
            ("runs", "json", {**info, "preset": "smoke"}),
            ("logs", "jsonl", {"update": 1, "loss": 1.0, "name": name}),
        ):
            file = tmp_path / folder / f"{name}.{ending}"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(text) + "\n")
    report.make(tmp_path)
    assert (tmp_path / "stability.png").is_file()
    [(logs, frames)] = drawn
    names = {label: [log[0]["name"] for log in given] for label, given in logs.items()}
    assert names == {
        "m, settings s": ["m-s-aa-seed0", "m-s-aa-seed1"],
        "m, settings x": [],
    }
    assert {label: len(frame) for label, frame in frames.items()} == {
        "m, settings s": 8,
        "m, settings x": 2,
    }
    assert {v for frame in frames.values() for v in frame["variant"]} == {"default"}


def rollouts(
    title="a method", sides=(-1, 1, 1, 0), committed=(True, True, False, False)
):
    rng = np.random.default_rng(0)
    return Choice(
        title=title,
        paths=[rng.uniform(1, 9, size=(5, 2)) for _ in sides],
        sides=np.array(sides),
        committed=np.array(committed),
        left=Estimate(1 / 3, 0.06, 0.79, 0.95, 1, 3),
        commits=Estimate(0.5, 0.15, 0.85, 0.95, 1, 4),
    )


SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
SCENE = {"table": [SQUARE], "goal": [SQUARE / 2], "block": [SQUARE / 5]}
FORK = Fork(start=(3.0, 4.0), steps=4, judge="", scene="", unit="cm", downwards=True)


def test_paths_are_coloured_by_their_side_and_broken_where_they_changed_it():
    choice = rollouts()
    [ax] = modes([choice], FORK, SCENE)
    paths = [line for line in ax.lines if len(line.get_xdata()) == 5]
    for line, path in zip(paths, choice.paths, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), path)
    assert [p.get_color() for p in paths] == [LEFT, RIGHT, RIGHT, NEITHER]
    assert [p.get_linestyle() == "-" for p in paths] == [True, True, False, True]
    assert ax.get_title(loc="left").split("\n") == [
        "a method",
        "left 1 of 3 [0.06, 0.79]",
        "commits 2 of 4 [0.15, 0.85]",
    ]
    assert len(ax.patches) == 3
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "x [cm]"


def test_the_picture_of_many_methods_is_not_cut_off():
    long = "a method with a very long name, settings 123456, demonstrations 12345678"
    for number in (1, 5, 7):
        axes = modes([rollouts(long)] * number, FORK, SCENE)
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


def test_axes_that_are_given_are_used_and_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    left, right = Figure().subplots(1, 2)
    assert success_bars(table(), left) is left
    assert loss_curves({"run": [[{"update": 0, "loss": 1.0}]]}, right) is right
    assert dict(matplotlib.rcParams) == before


def test_nothing_is_cut_off():
    """Texts lie inside the figure, or they would be missing in the file."""
    draw = np.random.default_rng(0).uniform
    frame = to_frame(
        episodes("a method with a long name", draw(size=(2, 8)), step=123_456)
    )
    losses = loss_curves(
        {"a method with a long name (LONG)": [training(0), training(1, val_loss=0.5)]}
    )
    title = "a task: to do this, to do that, in any order at all"
    long = dataclasses.replace(table(), title=title)
    for ax in (success_bars(long), learning_curves(frame), losses):
        ax.figure.draw_without_rendering()
        page = ax.figure.bbox
        inside = [ax._left_title, *ax.texts, *ax.get_legend().get_texts()]
        if ax is not losses:  # a logarithmic axis keeps labels that it does not show
            inside += ax.get_yticklabels()
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
        save(success_bars(table()).figure, path)
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
