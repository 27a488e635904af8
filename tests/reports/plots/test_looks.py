"""Every method has one colour and one marker in every figure."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import same_color

from dp_bench import registry
from dp_bench.evaluation.choices import Choice
from dp_bench.evaluation.records import to_frame
from dp_bench.method import Method
from dp_bench.reports.plots import looks
from dp_bench.reports.plots.controls import controls
from dp_bench.reports.plots.curves import learning_curves, loss_curves, stability
from dp_bench.reports.plots.looks import OTHERS, OURS, PAIR, line_styles, look_of
from dp_bench.reports.plots.multimodality import rollouts_from_fork
from dp_bench.reports.plots.profiles import probabilities, profiles
from dp_bench.reports.plots.scores import side_by_side, success_bars
from dp_bench.reports.summary import summary
from dp_bench.reports.trainings import Curve
from dp_bench.statistics.estimates import Estimate
from dp_bench.task import Fork
from made_up_records import episodes, log_line

METHODS = [
    *registry.METHODS, "dp_c-flow", "dp_t-mip", "theirs", "a method of another machine"
]  # fmt: skip
# Its score tells whose line a line is, whatever the order.
VALUES = {method: 0.11 + 0.09 * k for k, method in enumerate(METHODS)}
FORK = Fork(start=(0.5, 0.5), steps=4, judge="", scene="", unit="m")
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
ORDERS = [
    METHODS,
    METHODS[::-1],
    METHODS[3:] + METHODS[:3],
    ["ibc", "dp_c"],
    ["theirs", "bet"],
    ["a method of another machine"],
]


def of(methods, **changes):
    """Records in the order of the methods."""
    made = (
        episodes(m, [[VALUES[m]] * 2] * 2, sub_scores={}, **changes) for m in methods
    )
    return [*itertools.chain(*made)]


def logs(methods):
    """Logs with one loss for each method, the loss that tells them apart."""
    return {
        Curve(m, m): [
            [log_line(k, VALUES[m], val_action_error=VALUES[m]) for k in (1, 2)]
        ]
        for m in methods
    }


def of_two_steps(methods):
    return [*of(methods, step=10), *of(methods, step=20)]


def draw_success(methods):
    return success_bars(summary(of(methods))).figure


def draw_profile(methods):
    return profiles(summary(of(methods)))[0].figure


def draw_group(methods):
    return side_by_side({"can": summary(of(methods)), "lift": summary(of(methods[:1]))})


def draw_controls(methods):
    velocity = of(methods, control="velocity", settings="v")
    return controls(summary([*of(methods), *velocity]))[0].figure


def draw_learning(methods):
    return learning_curves(to_frame(of_two_steps(methods))).figure


def draw_losses(methods):
    return loss_curves(logs(methods))[0].figure


def draw_stability(methods):
    frames = {Curve(m, m): to_frame(of_two_steps([m])) for m in methods}
    return stability(logs(methods), frames)[0].figure


def draw_fork(methods):
    share = Estimate(0.5, 0.1, 0.9, 0.95, 1, 1)
    one = np.ones(1, dtype=int)
    paths = {m: [np.full((3, 2), VALUES[m])] for m in methods}
    panels = [Choice(m, paths[m], one, one, one, share, share, m) for m in methods]
    return rollouts_from_fork(panels, FORK, {"table": [SQUARE]})[0].figure


FIGURES = {
    name.removeprefix("draw_"): draw
    for name, draw in globals().items()
    if name.startswith("draw_")
}


def drawn(figure):
    """Colours and markers by method, of its labelled lines and those at its value."""
    found = {method: set() for method in VALUES}
    titles = {registry.title_of(method): method for method in VALUES}
    for ax in figure.axes:
        values = [line for line in ax.lines if len(line.get_xdata())]
        seen = [v for line in values for v in np.ravel(line.get_data()).tolist()]
        for line in values:
            if line.get_marker() in ("None", "", None, "."):
                continue
            if line.get_label() in titles:
                look = (line.get_color(), line.get_marker())
                found[titles[line.get_label()]].add(look)
                continue
            numbers = seen if figure_is_of_a_fork(ax) else np.ravel(line.get_data())
            for method, value in VALUES.items():
                if np.isclose(numbers, value).any():
                    found[method].add((line.get_color(), line.get_marker()))
    return {method: look for method, look in found.items() if look}


def figure_is_of_a_fork(ax):
    """Its panels have a method each, and the marker stands at the common start."""
    return ax.get_xlabel() == "x [m]" or "left" in ax.get_title(loc="left")


@pytest.mark.parametrize("methods", ORDERS, ids=lambda methods: "-".join(methods))
@pytest.mark.parametrize("figure", FIGURES)
def test_a_method_looks_the_same_in_every_figure(figure, methods):
    expected = {method: {look_of(method)} for method in methods}
    assert drawn(FIGURES[figure](methods)) == expected


@pytest.mark.parametrize("methods", ORDERS[:-1], ids=lambda methods: "-".join(methods))
def test_both_methods_of_a_pair_have_their_look(methods):
    table = summary(of(methods))
    [ax] = probabilities(table)
    pairs = list(itertools.combinations(sorted(methods, key=VALUES.get)[::-1], 2))
    assert len(ax.containers) == len(pairs)
    for place, pair in enumerate(pairs):
        ends = [line for line in ax.lines if list(line.get_ydata()) == [place]]
        ends.sort(key=lambda line: line.get_xdata()[0])
        assert [(e.get_color(), e.get_marker()) for e in ends] == [*map(look_of, pair)]
    titles = [label.get_text() for label in ax.get_yticklabels()]
    assert titles == [registry.title_of(left) for left, _ in pairs]


@pytest.fixture
def installed(monkeypatch):
    """Lets the registry know further methods."""

    def install(*names):
        others = {name: Method(name, name, policy="") for name in names}
        known = dict(registry.METHODS) | others
        monkeypatch.setattr(registry, "methods", lambda: known)

    return install


def test_no_look_occurs_twice(installed):
    names = [f"method {k}" for k in range(len(OTHERS))]
    installed(*names)
    chosen = [look_of(method) for method in [*registry.METHODS, *names]]
    assert len(set(chosen)) == len(OURS) + len(OTHERS)
    variants = [*registry.methods_and_variants()]
    assert len({look_of(name) for name in variants}) == len(variants)


def test_methods_of_other_packages_have_colours_and_markers_of_their_own():
    for k in (0, 1):
        ours, others = ({look[k] for look in part} for part in (OURS, OTHERS))
        assert len(ours) == len(OURS)
        assert not ours & others
    colours = [look.colour for look in (*OURS, *OTHERS)]
    assert not any(same_color(a, b) for a in PAIR for b in colours)


def test_the_look_of_a_method_does_not_depend_on_other_packages(installed):
    alone = look_of("theirs")
    installed("theirs")
    assert look_of("theirs") == alone
    installed("a package", "theirs")
    assert look_of("theirs") == alone
    assert look_of("dp_c") == OURS[0]


def test_rows_of_one_method_differ_in_dashes_and_faces():
    styles = list(line_styles(["bet", "ibc", *["bet"] * 9]))
    bet, ibc, *others = styles
    assert {style["color"] for style in [bet, *others]} == {look_of("bet").colour}
    lines = {(style["linestyle"], style["fillstyle"]) for style in [bet, *others]}
    assert len(lines) == 10
    assert ibc["linestyle"] == bet["linestyle"] == looks.DASHES[0]
