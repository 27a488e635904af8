"""Plans of two methods: which rows they take, and what they say."""

import re

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.reports.planning import describe, one_more_seed, plan
from dp_bench.reports.plots.power import power_curves
from dp_bench.statistics.comparisons import all_pairs
from made_up_records import by_method, episodes, table


def scores(mean, spread=0.03, num_seeds=3, seed=0):
    """Scores of 30 starts, with an effect of each training."""
    rng = np.random.default_rng([seed, int(mean * 100)])
    trainings = rng.normal(0, spread, (num_seeds, 1))
    return np.clip(mean + trainings + rng.normal(0, 0.2, (num_seeds, 30)), 0, 1)


def records_of(**means):
    return [r for method, m in means.items() for r in episodes(method, scores(m))]


@pytest.fixture(scope="module")
def two():
    return table(records_of(good=0.6, bad=0.42))


def test_a_plan_rests_on_the_rows_of_two_methods(two):
    made = plan(two, ["good", "bad"])
    rows = by_method(two)
    assert (made.a, made.b) == (rows["good"], rows["bad"])
    assert made.study.difference == pytest.approx(
        rows["good"].score.value - rows["bad"].score.value
    )
    assert made.size == (3, 30)


def test_the_text_agrees_with_the_study(two):
    made = plan(two, ["good", "bad"])
    text = describe(made)
    needed = made.study.seeds_needed(30)
    assert f"takes {needed} train seeds of each on 30 starts" in text
    line = next(line for line in text.splitlines() if re.match(r"\| +3 \|", line))
    chances = re.findall(r"(\d+)%", line)
    expected = [made.study.power(3, e) for e in (30, 50, 100, 200, 1000)]
    assert chances == [f"{100 * power:.0f}" for power in expected]
    (pair,) = all_pairs([made.a.scores, made.b.scores])
    assert f"{pair.detectable:.2f} now" in text
    assert f"{made.study.detectable(4, 30):.2f} with one more" in text


def test_a_plan_may_be_done():
    made = plan(table(records_of(good=0.9, bad=0.2)), ["good", "bad"])
    assert "3 train seeds on 30 starts give a chance of 80% or more" in describe(made)


def test_the_figure_has_a_curve_for_each_number_of_starts(two):
    made = plan(two, ["good", "bad"])
    *curves, _, here = power_curves(made).get_lines()
    for curve, number in zip(curves, (30, 50, 100, 200, 1000), strict=True):
        for x, y in zip(curve.get_xdata(), curve.get_ydata(), strict=True):
            assert y == pytest.approx(made.study.power(int(x), number))
    assert here.get_xdata() == [3]
    assert here.get_ydata() == [made.study.power(3, 30)]


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        (["good"], {}, "--methods takes two methods, got good"),
        ([], {}, "--methods takes two methods, got none"),
        (["good", "good"], {}, "--methods takes two methods, got good, good"),
        (["good", "best"], {}, "no method 'best'; they have .*once"),
        (["good", "once"], {}, "'once' was trained once"),
        (["good", "odd"], {}, "'odd' is marked as not comparable: demonstrations d2"),
        (["good", "twice"], {}, "'twice' has 2 rows .*control position.*--control"),
        (["good", "twice"], {"variant": "wet"}, "no variant 'wet'; they have plain"),
        (
            ["good", "short"],
            {"variant": "windy"},
            "no variant 'windy'; they have plain",
        ),
    ],
)
def test_rows_that_cannot_be_planned_with_are_refused(methods, options, message):
    records = [
        *records_of(good=0.6),
        *episodes("once", scores(0.5, num_seeds=1)),
        *episodes("odd", scores(0.4), demos_digest="d2"),
        *episodes("twice", scores(0.3)),
        *episodes("twice", scores(0.2), control="velocity"),
    ]
    with pytest.raises(BadInput, match=message):
        plan(table(records), methods, **options)


def test_a_control_chooses_between_the_rows_of_a_method():
    records = [
        *episodes("good", scores(0.6), control="velocity"),
        *episodes("twice", scores(0.3)),
        *episodes("twice", scores(0.2), control="velocity"),
    ]
    made = plan(table(records), ["good", "twice"], control="velocity")
    assert made.b.control == "velocity"


def test_unfinished_rows_are_refused():
    records = [
        *records_of(good=0.6),
        *(
            r
            for r in episodes("bad", scores(0.5))
            if r.env_seed + r.train_seed < 100031
        ),
    ]
    with pytest.raises(BadInput, match="'bad' is marked as not comparable: unfinished"):
        plan(table(records), ["good", "bad"])


def test_one_more_seed_is_about_the_closest_undecided_pair():
    made = table(records_of(best=0.9, second=0.45, third=0.4, last=0.38))
    sentence = one_more_seed(made)
    undecided = re.search(r"\), (\w+) and (\w+) are closest", sentence)
    assert set(undecided.groups()) < {"second", "third", "last"}
    now, then = map(int, re.findall(r"(\d+)% with", sentence))
    assert then > now


def test_one_more_seed_has_no_advice_where_all_is_decided_or_unknown():
    assert one_more_seed(table(records_of(good=0.9, bad=0.1))) == ""
    once = [*episodes("a", scores(0.5, num_seeds=1)), *episodes("b", scores(0.4))]
    assert one_more_seed(table(once)) == ""


def test_one_more_seed_has_no_advice_where_no_score_varies():
    zeros = [[0.0] * 4] * 2
    made = table(episodes("one", zeros) + episodes("two", zeros))
    assert one_more_seed(made) == ""


def test_one_more_seed_starts_from_what_the_verdict_says():
    """The smallest difference `now` is that of the tables."""
    made = table(records_of(good=0.6, bad=0.5))
    (limit,) = (x for x in made.footer if "does not mean equal" in x)
    (shown,) = re.findall(r"is (\d\.\d\d)\.", limit)
    assert f"falls from {shown} to" in one_more_seed(made)
