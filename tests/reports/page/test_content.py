"""The page of a table: its numbers are those of the records."""

import re

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.reports import remake, trained
from dp_bench.reports.page.content import SHADES, content_of, read_runs
from dp_bench.reports.page.scenes import known_runs, wanted_scenes
from made_up_results import SCORES, results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def content(folder):
    everything = trained.with_trainings(records.read(folder / "records"), folder)
    return content_of("reach", remake.table_of(folder), everything, read_runs(folder))


def test_the_verdict_says_how_far_the_best_row_is_ahead(content):
    [family] = content.comparisons
    number = r"[01]\.\d\d"
    assert re.fullmatch(
        rf"alpha is better than beta by 0\.60 \[{number}, {number}\]; it cannot be "
        rf"told from gamma; this run would have shown differences from {number} on "
        r"\(with a chance of 80%\)\.",
        family.verdict,
    )


def test_the_map_has_the_mean_score_of_each_start(content):
    [scores] = content.maps
    assert scores.starts == [100_000 + k for k in range(6)]
    by_label = {row.label: row for row in scores.rows}
    for method, (first, second) in SCORES.items():
        cells = by_label[method].cells
        means = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        assert [cell.score for cell in cells] == pytest.approx(means)
        assert [cell.shade for cell in cells] == [round(SHADES * m) for m in means]
    # By hand: start 100003 has means .725, .675 and .85; start 100002 .925, .075, .65.
    assert scores.disagreement[3] == pytest.approx(0.175)
    assert scores.disagreement[2] == pytest.approx(0.85)


def test_every_episode_of_the_table_is_there_once(content):
    assert [len(by_start) for by_start in content.played] == [6, 6, 6]
    best = content.played[0][100_003]
    assert {seed: (e.score, e.success, e.length) for seed, e in best.items()} == {
        0: (0.7, False, 7),
        1: (0.75, False, 7),
    }


def test_each_row_names_its_settings_and_the_files_of_its_trainings(content, folder):
    for row in content.provenance:
        assert [run.train_seed for run in row.runs] == [0, 1]
        for run in row.runs:
            assert (folder / "runs" / f"{run.name}.json").is_file()
        assert ("policy.channels", "8,16") in row.settings


def _starts(folder, *wanted):
    table, trainings = remake.table_of(folder), read_runs(folder)
    runs = dict.fromkeys(trainings, folder)
    return wanted_scenes(table, wanted, trainings, runs)


def test_films_show_the_first_training_of_each_row(folder):
    scenes = _starts(folder, "2")
    assert {(s.train_seed, s.env_seed) for s in scenes} == {(0, 100_000), (0, 100_001)}
    assert len(scenes) == 2 * len(SCORES)
    assert len(_starts(folder, "all")) == 6 * len(SCORES)
    assert {s.env_seed for s in _starts(folder, "100002", "100005")} == {
        *(100_002, 100_005)
    }


def test_starts_with_the_largest_disagreement_come_first(folder, monkeypatch):
    monkeypatch.setattr("dp_bench.reports.page.scenes.FEW", 2)
    chosen = list(dict.fromkeys(s.env_seed for s in _starts(folder, "disagreement")))
    assert chosen == [100_002, 100_000]  # .85, and .925 - .125 = .8


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["some"], "--films takes all, disagreement, a number of starts, or env seeds"),
        (["all", "3"], "got 'all'"),
        (["0"], "0 is no env seed"),
        (["5", "6"], "5 is no env seed"),
        (["-3"], "got '-3'"),
        (["100002", "7777777"], "start 7777777, which no row"),
    ],
)
def test_a_wrong_choice_of_films_is_refused(folder, wanted, words):
    with pytest.raises(BadInput, match=words):
        _starts(folder, *wanted)


def test_a_run_with_other_weights_is_not_the_training(folder, tmp_path):
    trainings = read_runs(folder)
    name = next(iter(trainings))
    (tmp_path / name).mkdir()
    text = (folder / "runs" / f"{name}.json").read_text(encoding="utf-8")
    (tmp_path / name / "run.json").write_text(text, encoding="utf-8")
    assert known_runs(trainings, [tmp_path]) == {name: tmp_path / name}
    assert known_runs(trainings, [tmp_path / name]) == {name: tmp_path / name}
    known = trainings[name]
    other = known._replace(
        trained=type(known.trained)(known.trained.stages, "0123456789ab")
    )
    assert known_runs({name: other}, [tmp_path]) == {}
