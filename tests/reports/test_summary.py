"""From records to the rows of a table, against numbers worked out by hand."""

import dataclasses
from typing import get_args, get_type_hints

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import to_frame
from dp_bench.method import Method
from dp_bench.reports.column_statistics import STATISTICS
from dp_bench.reports.markdown import to_markdown
from dp_bench.reports.summary import ROW, scores_by_seed_and_start, summary
from dp_bench.reports.table import CIRCUMSTANCES
from dp_bench.task import Column
from made_up_records import REACH, by_method, episodes, table, three_rows
from made_up_scores import width


def test_numbers_worked_out_by_hand():
    """Success of alpha_1: MSc = 1, V = 1 / 4 with one degree of freedom, so n = 1."""
    rows = by_method(table(three_rows()))
    t = 12.7062  # 97.5 % quantile for one degree of freedom
    half = 0.5 * t / np.sqrt(1 + t**2)
    success = rows["alpha_1"].estimates["success"]
    assert success[:3] == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-5)
    assert rows["alpha_1"].score.value == 0.75
    assert rows["beta"].estimates["p1"].value == 0.125
    assert rows["beta"].difference[:3] == (-0.5, -0.5, -0.5)
    assert rows["gamma"].estimates["success"].low == pytest.approx(0.3424, abs=5e-5)


def test_the_order_of_the_records_does_not_matter():
    records = three_rows() + episodes("beta", ((0.2, 0.9),), variant="windy")
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    assert to_markdown(table(shuffled)) == to_markdown(table(records))


def test_rows_with_unlike_trainings_widen_the_intervals_of_the_others():
    scores = np.random.default_rng(1).uniform(size=(3, 10))
    beta = episodes("beta", scores)
    wild = np.clip(scores / 2 + np.array([[-0.4], [0.0], [0.4]]), 0, 1)
    calm, other = episodes("alpha_1", scores / 2), episodes("alpha_1", wild)
    scored = [by_method(table(beta + rest))["beta"].score for rest in (calm, other)]
    assert scored[0].value == scored[1].value
    assert width(scored[0]) < width(scored[1])


def test_a_row_with_one_training_does_not_change_the_others():
    scores = np.random.default_rng(1).uniform(size=(3, 10))
    usual = episodes("beta", scores) + episodes("alpha_1", scores / 2)
    rows = by_method(table(usual + episodes("single", scores[:1])))
    for name, row in by_method(table(usual)).items():
        assert rows[name].estimates == row.estimates
        assert (rows[name].letters, rows[name].difference) == (
            row.letters,
            row.difference,
        )
    assert (rows["single"].letters, rows["single"].difference) == ("", None)


def test_each_variant_has_a_best_row_and_the_first_variant_leads():
    scores = {"windy": ((0.2, 0.3),) * 2, "plain": ((0.6, 0.7),) * 2}
    records = [
        record
        for variant, line in scores.items()
        for record in episodes("alpha_1", line, variant=variant)
        + episodes("beta", np.array(line) - 0.1, variant=variant)
    ]
    rows = table(records).rows
    assert [row.variant for row in rows] == ["plain", "plain", "windy", "windy"]
    assert [row.best for row in rows] == [True, False, True, False]
    differences = [row.difference.value for row in rows if not row.best]
    assert differences == pytest.approx([-0.1, -0.1])


def test_other_settings_are_another_row():
    records = episodes("beta") + episodes("beta", ((0.0, 0.5),), settings="lr 1")
    result = table(records)
    assert [row.settings for row in result.rows] == ["of beta", "lr 1"]
    assert "lr 1" in to_markdown(result)


def test_the_last_step_is_shown_or_all_steps_are():
    records = episodes("beta", ((0.9, 0.8),), step=50) + episodes("beta", step=100)
    assert [row.step for row in table(records).rows] == [100]
    everything = table(records, steps="all")
    assert [row.step for row in everything.rows] == [50, 100]
    assert "| updates" in to_markdown(everything)


def test_a_table_of_further_starts_says_which():
    scores = np.random.default_rng(0).uniform(size=(2, 120))
    more = episodes("alpha_1", scores) + episodes("beta", scores / 2)
    result = table(more)
    assert "Train seeds: 0-1; test starts: 100000-100119." in result.footer
    assert "2 train seeds × 120 starts" in to_markdown(result)  # noqa: RUF001
    usual = episodes("gamma", scores[:, :50])
    mixed = table(more + usual)
    assert "test starts: 100000-100119 or 100000-100049." in "\n".join(mixed.footer)
    [words] = by_method(mixed)["gamma"].differs
    assert words == "starts 100000-100049, not 100000-100119"
    assert " 2 × 50 |" in to_markdown(mixed)  # noqa: RUF001


def test_starts_that_a_seed_lacks_are_left_out_and_named():
    records = episodes("alpha_1", ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3)))
    records += episodes("beta", ((0.1, 0.2, 0.3), (0.5, 0.6)))
    result = table(records)
    beta = by_method(result)["beta"]
    assert beta.num_starts == 2
    assert beta.score.value == pytest.approx((0.1 + 0.2 + 0.5 + 0.6) / 4)
    assert beta.differs == ("unfinished", "starts 100000-100001, not 100000-100002")
    assert any("beta lacks the starts 100002" in line for line in result.footer)


def test_a_row_without_a_start_that_all_seeds_met_is_refused():
    first, second = episodes("beta", ((0.1,), (0.2,)))
    second = dataclasses.replace(second, env_seed=5)
    with pytest.raises(BadInput, match="'beta' has no start that all its train seeds"):
        table([first, second])


def test_an_episode_is_not_counted_twice():
    with pytest.raises(BadInput, match="train seed 0 and start 100001 twice"):
        table(episodes("beta") + episodes("beta")[1:])


def test_records_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="at least one record"):
        table([])
    with pytest.raises(BadInput, match="of task 'reach', these are of other, reach"):
        table(episodes() + episodes(task="other"))
    mixed = episodes(split_digest="p1")[:1] + episodes(split_digest="p2")[1:]
    with pytest.raises(BadInput, match="two splits"):
        table(mixed)


def test_scores_are_arranged_by_seed_and_start():
    records = episodes("beta", ((0.1, 0.2, 0.3), (0.4, 0.5)))
    cells = scores_by_seed_and_start(to_frame(records[::-1]), "score")
    np.testing.assert_array_equal(cells, [[0.1, 0.2], [0.4, 0.5]])
    assert cells.index.tolist() == [0, 1]
    assert cells.columns.tolist() == [100_000, 100_001]


def test_a_sub_score_that_an_episode_lacks_has_no_mean():
    records = episodes("beta")
    records[0] = dataclasses.replace(records[0], sub_scores={})
    beta = by_method(table(records))["beta"]
    assert np.isnan(beta.estimates["p1"].value)
    assert beta.score.value == 0.75


def test_an_unknown_task_shows_all_its_sub_scores():
    result = summary(episodes("beta", task="nobody_knows"))
    assert [column.key for column in result.columns] == ["p1"]
    assert result.title == "nobody_knows"


def test_titles_of_methods_come_from_the_registry(monkeypatch):
    known = Method(name="beta", title="Beta | 2", policy="")
    monkeypatch.setattr(registry, "methods", lambda: {"beta": known})
    text = to_markdown(table(three_rows()))
    assert "Beta \\| 2" in text
    assert "alpha" in text


def test_every_field_that_sets_rows_apart_can_be_shown():
    """A new field of a run's identity needs a heading, or rows look alike."""
    digests = {"demos_digest", "frames_digest"}
    assert {*ROW} == {"task", "method", *CIRCUMSTANCES, *digests}


def test_every_statistic_that_a_column_can_name_exists():
    assert {*get_args(get_type_hints(Column)["statistic"])} == {*STATISTICS}


def test_a_column_can_show_the_entropy_of_choices():
    task = dataclasses.replace(
        REACH, columns=(Column("way", "order entropy", statistic="entropy"),)
    )
    both = [
        dataclasses.replace(record, sub_scores={"way": k % 2})
        for k, record in enumerate(episodes("alpha_1", ((0.5,) * 8,)))
    ]
    one = [
        dataclasses.replace(record, sub_scores={"way": 3.0})
        for record in episodes("beta", ((0.5,) * 8,))
    ]
    result = summary(both + one, task)
    rows = by_method(result)
    assert rows["alpha_1"].estimates["way"].value == 1.0
    assert rows["beta"].estimates["way"].value == 0.0
    assert any(line.startswith("Order entropy [bits]: ") for line in result.footer)
    assert "order entropy" in to_markdown(result)
