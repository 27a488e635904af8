"""The page of a table: its numbers are those of the records."""

import dataclasses
import re

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.records import append
from dp_bench.reports import remake, trained
from dp_bench.reports.page.content import SHADES, content_of, disagreement
from dp_bench.reports.page.origin import read_runs
from dp_bench.reports.page.scenes import Wanted, known_runs, scenes_of
from made_up_records import episodes, with_digests
from made_up_results import SCORES, SCRIPT, add_films, results


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return results(tmp_path_factory.mktemp("results"))


def content_in(folder, films=()):
    everything = trained.with_trainings(records.read(folder / "records"), folder)
    table, runs = remake.table_of(folder), read_runs(folder)
    return content_of(folder, "reach", table, everything, runs, films)


@pytest.fixture(scope="module")
def content(folder):
    return content_in(folder)


def test_the_verdict_says_how_far_the_best_row_is_ahead(content):
    [family] = content.comparisons
    number = r"[01]\.\d\d"
    assert re.fullmatch(
        rf"alpha is better than beta by 0\.60 \[{number}, {number}\] \(95% confidence, "
        r"corrected for 3 pairs\)\. It cannot be told apart from gamma\. With a chance "
        rf"of 80%, this run would have shown a difference of {number} from gamma\.",
        family.verdict,
    )
    assert content.not_compared == ""


def test_the_map_has_the_mean_score_of_each_start(content, folder):
    [scores] = content.maps
    assert scores.starts == [100_000 + k for k in range(6)]
    by_name = {content.lines[place].short: cells for place, cells in scores.rows}
    for method, (first, second) in SCORES.items():
        cells = by_name[method]
        means = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        assert [cell.score for cell in cells] == pytest.approx(means)
        assert [cell.shade for cell in cells] == [round(SHADES * m) for m in means]
    # By hand: start 100003 has means .725, .675 and .85; start 100002 .925, .075, .65.
    apart = disagreement(remake.table_of(folder).rows)
    assert apart[100_003] == pytest.approx(0.175)
    assert apart[100_002] == pytest.approx(0.85)


def test_every_episode_of_the_table_is_there_once(content):
    assert [len(line.played) for line in content.lines] == [6, 6, 6]
    best = content.lines[0].played[100_003]
    assert {seed: (e.score, e.success, e.length) for seed, e in best.items()} == {
        0: (0.7, False, 7),
        1: (0.75, False, 7),
    }


def test_each_row_names_its_settings_and_the_files_of_its_trainings(content, folder):
    for line in content.lines:
        assert [run.train_seed for run in line.runs] == [0, 1]
        for run in line.runs:
            assert {*run.files} == {"log", "settings"}  # all records are one file here
            assert all((folder / file).is_file() for file in run.files.values())
        assert line.settings["policy.channels"] == "8,16"
        assert line.facts["observation"] == "state"


def test_a_start_that_a_row_did_not_meet_keeps_its_column(tmp_path):
    folder = results(tmp_path)
    more = episodes("delta", [[0.5] * 8, [0.5] * 8], settings="4" * 8)
    kind = {"variant": f"plain {SCRIPT}", "sub_scores": {SCRIPT: 0.5}}
    more = [dataclasses.replace(record, **kind) for record in with_digests(more)]
    append(folder / "records" / "more.jsonl", more)
    content = content_in(folder)
    [scores] = content.maps
    assert scores.starts == [100_000 + k for k in range(8)]
    for place, cells in scores.rows:
        assert [cell.start for cell in cells] == scores.starts
        met = [cell.start for cell in cells if cell.score is not None]
        longer = content.lines[place].short.startswith("delta")
        assert met == scores.starts[: 8 if longer else 6]
    apart = disagreement(remake.table_of(folder).rows)
    assert set(apart) == set(scores.starts[:6])  # two rows or more


def test_a_film_of_other_weights_or_updates_is_not_shown(tmp_path):
    folder = results(tmp_path)
    films = add_films(folder, 100_002)
    assert [list(line.films) for line in content_in(folder, films).lines] == [
        [100_002],
        [100_002],
        [100_002],
    ]
    for change in ({"weights": "0123456789ab"}, {"step": 50}, {"variant": "windy"}):
        others = [dataclasses.replace(film, **change) for film in films]
        assert not any(line.films for line in content_in(folder, others).lines)


def _scenes(folder, *wanted):
    table, trainings = remake.table_of(folder), read_runs(folder)
    runs = dict.fromkeys(trainings, folder)
    scenes, lost = scenes_of(table, Wanted.read(wanted), trainings, runs)
    assert lost == 0
    return scenes


def test_films_show_the_first_training_of_each_row(folder):
    scenes = _scenes(folder, "2")
    assert {(s.train_seed, s.env_seed) for s in scenes} == {(0, 100_000), (0, 100_001)}
    assert len(scenes) == 2 * len(SCORES)
    assert len(_scenes(folder, "all")) == 6 * len(SCORES)
    assert {s.env_seed for s in _scenes(folder, "100002", "100005")} == {
        *(100_002, 100_005)
    }


def test_starts_with_the_largest_disagreement_come_first(folder, monkeypatch):
    monkeypatch.setattr("dp_bench.reports.page.scenes.FEW", 2)
    chosen = list(dict.fromkeys(s.env_seed for s in _scenes(folder, "disagreement")))
    assert chosen == [100_002, 100_000]  # .85, and .925 - .125 = .8


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["some"], "--films takes all, disagreement, a number of starts"),
        (["all", "3"], "got 'all'"),
        (["0"], "0 is neither a number of starts nor an env seed"),
        (["5", "6"], "5 is neither"),
        (["-3"], "got '-3'"),
        (["9" * 5000], "got '999"),
        ([], "got nothing"),
    ],
)
def test_a_wrong_choice_of_films_is_refused(wanted, words):
    with pytest.raises(BadInput, match=words):
        Wanted.read(wanted)


def test_a_start_that_no_row_met_is_no_scene(folder):
    assert _scenes(folder, "7777777") == []
    assert len(_scenes(folder, "100002", "7777777")) == len(SCORES)


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
