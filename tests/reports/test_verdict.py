"""The verdict under a table says which methods differ, and what a run could show."""

import numpy as np
import pytest

from made_up_records import by_method, episodes, table


def noisy(mean, seed, trainings=3, starts=30):
    draw = np.random.default_rng(seed)
    return np.clip(mean + 0.05 * draw.normal(size=(trainings, starts)), 0, 1)


def verdicts(result):
    return [line for line in result.footer if line.startswith("Verdict")]


def test_decided_pairs_are_said_in_words():
    records = episodes("good", noisy(0.9, 0)) + episodes("bad", noisy(0.3, 1))
    records += episodes("fair", noisy(0.31, 2))
    result = table(records)
    assert verdicts(result) == [
        "Verdict: good is better than fair and bad (95% confidence, corrected for 3 "
        "pairs). 1 of 3 pairs is undecided."
    ]
    [limit] = [line for line in result.footer if line.startswith("Undecided")]
    assert "the smallest difference that this run would show with a chance of 80%" in (
        limit
    )
    rows = by_method(result)
    assert (rows["good"].letters, rows["fair"].letters) == ("a", "b")
    assert rows["bad"].letters == "b"


def test_equal_methods_cannot_be_told_apart():
    records = episodes("one", noisy(0.5, 0)) + episodes("two", noisy(0.5, 1))
    [line] = verdicts(table(records))
    assert "no two methods can be told apart" in line
    assert "the one pair" in line


def test_each_variant_has_a_verdict():
    records = [
        record
        for variant, better in (("plain", 0.9), ("windy", 0.4))
        for record in episodes("one", noisy(better, 0), variant=variant)
        + episodes("two", noisy(0.4, 1), variant=variant)
    ]
    plain, windy = verdicts(table(records))
    assert plain.startswith("Verdict (plain): one is better than two")
    assert windy.startswith("Verdict (windy): no two methods")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (episodes("one", noisy(0.5, 0)), "a comparison needs a second method"),
        (
            episodes("one", noisy(0.5, 0, 1)) + episodes("two", noisy(0.5, 1, 1)),
            "`--seeds 0 1 2` trains each three times",
        ),
        (
            episodes("one", noisy(0.5, 0)) + episodes("two", noisy(0.5, 1, 1)),
            "each with two trainings or more",
        ),
    ],
)
def test_without_a_comparison_the_verdict_says_what_is_missing(records, words):
    [line] = verdicts(table(records))
    assert line.startswith("Verdict: none")
    assert words in line


def test_the_best_row_of_a_comparison_has_no_mark_and_several_trainings():
    """A single training and a marked row score higher, but are no reference."""
    records = episodes("good", noisy(0.6, 0)) + episodes("bad", noisy(0.3, 1))
    records += episodes("single", noisy(0.99, 2, 1))
    records += episodes("odd", noisy(0.95, 3), demos_digest="d2")
    rows = by_method(table(records))
    assert [name for name, row in rows.items() if row.best] == ["good"]
    assert rows["bad"].difference.value < 0


def test_the_noise_floor_is_the_standard_deviation_between_trainings():
    scores = np.repeat([[0.2], [0.4], [0.6]], 10, axis=1)
    [line] = [x for x in table(episodes("one", scores)).footer if "Noise" in x]
    assert line.endswith("between trainings: one 0.20.")
    [line] = [x for x in table(episodes("one")).footer if "Noise" in x]
    assert "unknown for training again" in line


def test_a_hash_of_settings_names_a_row_only_where_nothing_else_does():
    one, two = noisy(0.9, 0), noisy(0.3, 1)
    by_control = episodes("m", one, settings="s1") + episodes(
        "m", two, settings="s2", control="velocity"
    )
    [line] = verdicts(table(by_control))
    assert "m (control position) is better than m (control velocity)" in line
    by_settings = episodes("m", one, settings="s1") + episodes("m", two, settings="s2")
    [line] = verdicts(table(by_settings))
    assert "m (settings s1) is better than m (settings s2)" in line


def test_more_updates_on_other_demonstrations_do_not_hide_a_row():
    records = episodes("one", noisy(0.9, 0)) + episodes("two", noisy(0.3, 1))
    records += episodes("one", noisy(0.5, 2), demos_digest="d2", step=200)
    rows = {(row.method, row.demos_digest): row for row in table(records).rows}
    assert rows["one", "d1"].best
    assert not rows["one", "d2"].letters


def test_an_earlier_checkpoint_takes_no_part():
    records = [
        record
        for step in (50, 100)
        for record in episodes("one", noisy(0.9, step), step=step)
        + episodes("two", noisy(0.3, step + 1), step=step)
    ]
    rows = table(records, steps="all").rows
    assert [bool(row.letters) for row in rows] == [False, True, False, True]
