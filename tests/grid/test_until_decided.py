"""Trainings are added until a pair is decided, and a kill changes nothing."""

import dataclasses
import sys

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.evaluation.starts import env_seeds_of
from dp_bench.grid.cell import Cell, resolve
from dp_bench.grid.local import Finished
from dp_bench.grid.until_decided import (
    progress_line,
    question,
    until_decided,
    verdict_sentence,
)
from dp_bench.statistics.sequential import NEEDED
from killing import Command
from made_up_records import episodes, with_digests


def cells_of(*methods, most=10):
    return resolve(
        [
            Cell("pusht", method, seed, episodes=4)
            for method in methods
            for seed in range(most)
        ]
    )


class MadeUpRuns:
    """Stands in for trainings: scores by method and train seed."""

    def __init__(self, folder, scores):
        self.folder, self.scores = folder, scores
        self.ran = []

    def __call__(self, cells):
        return [Finished(cell, self.run(cell)) for cell in cells]

    def run(self, cell):
        self.ran.append((cell.method, cell.train_seed))
        folder = self.folder / f"{cell.method}-{cell.train_seed}"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            records.append(folder / "records.jsonl", self.records(cell))
        return folder

    def records(self, cell):
        seed = cell.train_seed
        (one,) = with_digests(episodes(cell.method, [[0.5]], train_seed=seed))
        number = cell.decision_starts
        if not number:
            return [one]
        score = self.scores[cell.method][seed]
        decision = [
            dataclasses.replace(
                one, starts="decision", variant=variant, env_seed=env_seed, score=s
            )
            for variant, s in (("default", score), ("legacy", 1 - score))
            for env_seed in env_seeds_of("decision", number, train_seed=seed)
        ]
        return [one, *decision]


def answer(runs, *methods, pair=(), jobs=1, most=10):
    cells = cells_of(*methods, most=most)
    told = []
    asked = question(cells, pair, most)
    seen, folders = until_decided(asked, cells, jobs=jobs, run=runs, tell=told.append)
    assert told[-1] == seen
    return seen, folders, told, asked


BETTER = {"dp_c": [0.8, 0.7, 0.9] * 4, "bet": [0.5, 0.4, 0.45, 0.55] * 3}


def test_it_stops_as_soon_as_a_method_is_better(tmp_path):
    runs = MadeUpRuns(tmp_path, BETTER)
    seen, folders, told, asked = answer(runs, "dp_c", "bet")
    assert (seen.verdict, seen.trainings) == ("A", 6)
    assert seen.evidence[-1] >= NEEDED > seen.evidence[-2]
    d = np.subtract(BETTER["dp_c"][:6], BETTER["bet"][:6])
    assert seen.difference == pytest.approx(d.mean())
    assert len(folders) == 12
    assert [look.trainings for look in told] == [1, 2, 3, 4, 5, 6]
    assert "(DP-C) scores higher than BET after 6 trainings" in verdict_sentence(
        asked, seen
    )
    assert "at least 3 more trainings" in progress_line(asked, told[2])


def test_it_gives_up_as_soon_as_nothing_could_decide(tmp_path):
    runs = MadeUpRuns(tmp_path, {"dp_c": [0.5] * 10, "bet": [0.5] * 10})
    seen, _, told, asked = answer(runs, "dp_c", "bet")
    assert (seen.verdict, len(told)) == ("undecidable", 5)
    assert "--most-seeds 11 would go on" in verdict_sentence(asked, seen)
    seen, _, told, _ = answer(runs, "dp_c", "bet", most=11)
    assert seen.trainings == 6


@pytest.mark.parametrize("jobs", [2, 4, 5, 8])
def test_the_number_of_jobs_does_not_change_the_verdict(jobs, tmp_path):
    one = answer(MadeUpRuns(tmp_path / "1", BETTER), "dp_c", "bet")[0]
    many = MadeUpRuns(tmp_path / "many", BETTER)
    assert answer(many, "dp_c", "bet", jobs=jobs)[0] == one
    side_by_side = max(1, jobs // 2)
    assert len(many.ran) == 2 * side_by_side * -(-6 // side_by_side)


def test_a_third_method_gets_the_same_seeds_and_no_decision_starts(tmp_path):
    scores = BETTER | {"ibc": [0.5] * 10}
    runs = MadeUpRuns(tmp_path, scores)
    pair = ("bet", "dp_c")
    seen, *_ = answer(runs, "dp_c", "ibc", "bet", pair=pair)
    assert seen.verdict == "B"
    assert sorted(runs.ran) == sorted((m, s) for m in scores for s in range(6))
    assert len(records.read(tmp_path / "ibc-0")) == 1


def test_a_failed_cell_ends_the_comparison(tmp_path):
    def failing(cells):
        return [Finished(cell, None, "no memory") for cell in cells]

    with pytest.raises(
        BadInput, match=r"2 of 2 trainings failed .*: no memory; the same"
    ):
        answer(failing, "dp_c", "bet")


@pytest.mark.parametrize(
    ("methods", "pair", "most", "message"),
    [
        (["dp_c"], (), 10, "compares two methods, got dp_c; name them with --pair"),
        (["dp_c", "bet", "ibc"], (), 10, "compares two methods, got dp_c, bet, ibc"),
        (["dp_c", "bet"], ("bet", "bet"), 10, "compares two methods, got bet, bet"),
        (["dp_c", "bet"], ("bet", "ibc"), 10, "'ibc', which is not among the methods"),
        (["dp_c", "bet"], (), 5, "--most-seeds must be at least 6, got 5"),
    ],
)
def test_questions_without_an_answer_are_refused(methods, pair, most, message):
    with pytest.raises(BadInput, match=message):
        question(cells_of(*methods, most=most), pair, most)


COMPARE = (
    *("compare", "--task", "pusht", "--methods", "bet", "lstm_gmm", "--until-decided"),
    *("--most-seeds", "9", "--preset", "smoke", "--episodes", "4", "--device", "cpu"),
    *("--jobs", "2", "--set", "training.updates=40", "training.log_every=10"),
    *("training.validate_every=20", "training.save_seconds=1e-9"),
)
TIMES = ("train_seconds", "decision_latency", "commit")


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads processes from /proc"
)
def test_two_kills_change_neither_verdict_nor_records(tmp_path, demos_file):
    """One kill comes while a seed is trained, the other while it is evaluated."""
    settings = tmp_path / "settings"
    settings.mkdir()
    words = (*COMPARE, "--demos", demos_file)
    calm = Command(words, tmp_path / "calm", settings)
    attempt = calm.start()
    assert attempt.to_the_end() == 0, attempt.output()
    verdict, expected = last_words(attempt), played(calm.folder)
    assert len(expected) > 2 * 12 * 3  # the kills come before the last seeds
    attempt.close()

    killed = Command(words, tmp_path / "killed", settings)
    for file in ("bet*seed0/resume.safetensors", "lstm_gmm*seed1/records.jsonl"):
        attempt = killed.start()
        while not [*killed.folder.glob(f"runs/pusht/{file}")]:
            assert not attempt.ended, attempt.output()
            attempt.look()
        attempt.kill("group")
        attempt.close()
    assert played(killed.folder) != expected
    attempt = killed.start()
    assert attempt.to_the_end() == 0, attempt.output()
    assert last_words(attempt) == verdict
    assert played(killed.folder) == expected
    attempt.close()


def last_words(attempt):
    """The lines about the evidence, and the verdict."""
    lines = attempt.output().splitlines()
    (verdict,) = (x for x in lines if x.startswith(("Decided:", "Not decided:")))
    return [line for line in lines if " each: " in line][-1], verdict


def played(folder):
    """The records of all runs, without measured times and this checkout's commit."""
    lines = [
        {k: v for k, v in dataclasses.asdict(record).items() if k not in TIMES}
        for file in sorted(folder.glob("runs/pusht/*/records.jsonl"))
        for record in records.read(file)
    ]
    for line in lines:
        for stage in line["trained"]["stages"]:
            del stage["commit"]
    return lines
