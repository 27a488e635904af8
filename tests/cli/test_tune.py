"""`dp-bench tune`: successive halving on validation starts."""

import dataclasses
from pathlib import Path

import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation import search as trials
from dp_bench.evaluation.search import Pause, Trial
from dp_bench.grid import search
from dp_bench.grid.cell import resolve
from dp_bench.grid.local import Finished
from dp_bench.grid.run import run
from dp_bench.grid.search import Search, rungs, whole_updates
from dp_bench.grid.update_time import UpdateTime
from dp_bench.presets import preset
from dp_bench.presets.space import Choice, JointChoice, LogUniform, space_of
from dp_bench.task import IMAGE
from dp_bench.util import jsonl, settings

pytest.importorskip("optuna")
TINY = (
    *("policy.channels=8,16", "policy.kernel_size=3", "policy.step_dim=8"),
    *("policy.sample_steps=2", "policy.predicts=noise", "training.batch_size=8"),
)
SECONDS = 1.0  # of every part of a made-up trial


@pytest.fixture
def tune(tmp_path, monkeypatch, demos_file):
    """Types the command for a search whose updates take 10 s by a made-up probe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        search, "time_in_child", lambda cell, jobs: UpdateTime(10, 0, 0)
    )

    def type_command(*words, more=()):
        main(
            [
                *("tune", "--task", "pusht", "--method", "dp_c", "--preset", "smoke"),
                *("--demos", str(demos_file), "--episodes", "1", "--device", "cpu"),
                *("--run-minutes", "3", *words, "--set", *TINY, *more),
            ]
        )

    type_command.file = Path("runs/results/pusht/made-up/search/dp_c.jsonl")
    return type_command


@pytest.fixture
def made_up(monkeypatch):
    """Trainings that take no time; the score is a function of settings and update."""

    def use(score):
        def children_run(self, cell, progress):
            return Finished(cell, Path("run"))

        def pause(self, trial, folder, seconds):
            update = rungs(trial.updates)[len(trial.pauses)]
            value = score(dict(trial.values), update / trial.updates)
            return Pause(update, (value,), (False,), 60 * SECONDS)

        monkeypatch.setattr(search.Children, "run", children_run)
        monkeypatch.setattr(Search, "_pause", pause)

    return use


def in_this_process(self, cell, progress):
    return Finished(cell, run(*resolve([cell])))


def near(values, share):
    """Better near a learning rate of 1e-3, and with more updates."""
    rate = float(values.get("training.lr", 2e-4))
    return share * 0.5 / (1 + abs(rate - 1e-3) / 1e-3)


def test_a_search_trains_evaluates_and_tabulates(tune, monkeypatch, capsys):
    monkeypatch.setattr(search.Children, "run", in_this_process)
    update = UpdateTime(3, 0, 0)  # [s]; a made-up number that keeps the test short
    monkeypatch.setattr(search, "time_in_child", lambda cell, jobs: update)
    tune("--minutes", "0.9", "--run-minutes", "0.9")
    out = capsys.readouterr().out
    known = trials.read(tune.file)
    first = known[0]
    assert (first.number, first.changes, first.state) == (0, (), "finished")
    assert [pause.update for pause in first.pauses] == [2, 6, 18]
    assert first.updates == 18  # of 3 s, in .9 minutes
    assert all(pause.copying is not None for pause in first.pauses)
    assert "pusht: search for settings of Diffusion Policy, CNN (DP-C), 0.9 min" in out
    assert "| copying |" in out
    assert "Best: trial " in out
    assert "--method dp_c --seed 1 --preset smoke --demos" in out
    for ending in (".md", ".csv"):
        assert tune.file.with_suffix(ending).is_file()
    records = Path("runs/pusht").glob("dp_c-*/records.jsonl")
    assert all('"starts": "validation"' in file.read_text() for file in records)


def test_only_the_best_third_goes_on(tune, made_up):
    made_up(near)
    tune("--minutes", "60")
    known = trials.read(tune.file)
    assert sum(trial.seconds for trial in known) <= 3600
    counts = [sum(len(trial.pauses) > k for trial in known) for k in range(3)]
    assert counts[0] > 20
    assert counts[0] > counts[1] > counts[2]
    assert counts[2] < counts[0] / 3  # more than a ninth, as later trials are better
    finished = [t.pauses[-1].score for t in known if t.state == "finished"]
    assert max(finished) > 1.5 * near({}, 1)  # better than the preset
    assert known[0].state == "finished"
    tried = [trial.changes for trial in known]
    assert len(set(tried)) == len(tried)


def test_a_trial_changes_some_of_the_settings_and_keeps_the_others(tune, made_up):
    """A preset is a good place to begin, and a table of few changes can be read."""
    made_up(near)
    tune("--minutes", "60")
    first, *others = trials.read(tune.file)
    assert not first.values
    dims = len(space_of(registry.method("dp_c")))
    sizes = [len(trial.values) for trial in others]
    assert 0 < min(sizes) < max(sizes) <= dims
    assert 0.2 * dims < sum(sizes) / len(sizes) < 0.8 * dims
    rates = {trial.values.get("training.lr") for trial in others}
    assert len(rates) > 5
    table = tune.file.with_suffix(".md").read_text().replace(" ", "").splitlines()
    rows = [line for line in table if "of18|" in line and not line.startswith("|0|")]
    assert any("|preset|" in row for row in rows)


def test_the_preset_is_trained_to_its_end(tune, made_up):
    """It is what the others are compared with, even if all of them are better."""
    made_up(lambda values, share: 0.5 if values else 0.01)
    tune("--minutes", "15", "--jobs", "2")
    first, *others = trials.read(tune.file)
    assert first.state == "finished"
    assert any(trial.state == "pruned" for trial in others)


def test_a_search_goes_on_where_it_stopped(tune, made_up, monkeypatch):
    made_up(near)
    children_run = search.Children.run
    left = 7

    def stops(self, cell, progress):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return children_run(self, cell, progress)

    monkeypatch.setattr(search.Children, "run", stops)
    with pytest.raises(SystemExit):
        tune("--minutes", "30")
    before = trials.read(tune.file)
    assert sum(len(trial.pauses) for trial in before) == 7
    monkeypatch.setattr(search.Children, "run", children_run)
    tune("--minutes", "30")
    after = {trial.number: trial for trial in trials.read(tune.file)}
    for trial in before:
        known = after[trial.number]
        assert known.pauses[: len(trial.pauses)] == trial.pauses
        assert known.changes == trial.changes
        if trial.state != "unfinished":
            assert known == trial
    for trial in after.values():  # old trials still compete
        for k in range(len(trial.pauses) - 1):
            rivals = [
                other.pauses[k].score
                for other in after.values()
                if other.number < trial.number and len(other.pauses) > k
            ]
            better = sum(score > trial.pauses[k].score for score in rivals)
            assert better < max(1, (1 + len(rivals)) // 3)
    assert sum(t.seconds for t in after.values()) > 1500
    tune("--minutes", "30")  # nothing is left to do
    assert {t.number: t for t in trials.read(tune.file)} == after
    tune("--minutes", "40")  # more time goes on with it
    assert len(trials.read(tune.file)) > len(after)


def test_shards_share_a_file_and_make_trials_of_their_own(tune, made_up):
    made_up(near)
    tune("--minutes", "20", "--shard", "2/3")
    second = trials.read(tune.file)
    assert {trial.number % 3 for trial in second} == {1}
    assert sum(trial.seconds for trial in second) <= 1200
    tune("--minutes", "20", "--shard", "1/3")
    both = trials.read(tune.file)
    assert {trial.number % 3 for trial in both} == {0, 1}
    assert both[0].number == 0
    assert not both[0].changes  # the preset is trial 0, of the first shard
    assert [trial for trial in both if trial.number % 3 == 1] == second
    tried = [trial.changes for trial in both]
    assert len(set(tried)) == len(tried)
    assert tune.file.with_suffix(".md").is_file()


def test_shards_prune_by_the_trials_of_all(tune, made_up):
    made_up(lambda values, share: 0.9)
    tune("--minutes", "10", "--shard", "1/2")
    made_up(lambda values, share: 0.1)  # the second shard is worse throughout
    tune("--minutes", "10", "--shard", "2/2")
    worse = [trial for trial in trials.read(tune.file) if trial.number % 2]
    assert worse
    assert {len(trial.pauses) for trial in worse} <= {0, 1}


def test_settings_that_fail_are_kept_and_not_tried_again(tune, made_up, monkeypatch):
    made_up(near)
    children_run = search.Children.run

    def diverges(self, cell, progress):
        if cell.label != "trial 0":
            return Finished(cell, None, "training diverged")
        return children_run(self, cell, progress)

    monkeypatch.setattr(search.Children, "run", diverges)
    monkeypatch.setattr(search, "TRIES", 5)
    monkeypatch.setattr(
        "dp_bench.presets.space.space_of",
        lambda method: {"training.grad_clip": Choice(("1.0", "2.0"))},
    )
    tune("--minutes", "60")
    known = trials.read(tune.file)
    assert [trial.state for trial in known] == ["finished", "failed", "failed"]
    assert known[1].failure == "training diverged"
    assert "failed" in tune.file.with_suffix(".md").read_text()


def test_lines_of_the_file_may_be_deleted(tune, made_up):
    """The message about a damaged file says so; no other trial is lost by it."""
    made_up(near)
    tune("--minutes", "20")
    known = trials.read(tune.file)
    jsonl.write(tune.file, [trial for trial in known if trial.number != 2])
    tune("--minutes", "25")
    longer = {trial.number: trial for trial in trials.read(tune.file)}
    assert 2 not in longer
    ended = [t for t in known if t.state != "unfinished" and t.number != 2]
    assert all(longer[trial.number] == trial for trial in ended)
    jsonl.write(tune.file, [trial for trial in longer.values() if trial.number])
    tune("--minutes", "35")
    assert {t.number: t for t in trials.read(tune.file)}[0].changes == ()


def test_no_trial_repeats_the_settings_of_another(tune, made_up):
    """Neither by writing the preset's value, nor by writing a value otherwise."""
    made_up(near)
    words = ["training.lr=0.001", "policy.predicts=noise", "policy.kernel_size=3"]
    tune("--minutes", "60", more=words)
    usual = preset(registry.method("dp_c"), "pusht", "smoke")
    seen = [
        settings.override_all(usual, dict(c.split("=", 1) for c in trial.changes))
        for trial in trials.read(tune.file)
    ]
    assert len(seen) > 5
    assert all(a != b for k, a in enumerate(seen) for b in seen[:k])


def test_probes_that_fail_use_up_the_time(tune, made_up, monkeypatch):
    made_up(near)
    clock = iter(range(0, 10**9, 100))
    monkeypatch.setattr(search.time, "monotonic", lambda: next(clock))
    probes = []

    def time_in_child(cell, jobs):
        probes.append(cell)
        if len(probes) > 1:
            raise BadInput("no memory")
        return UpdateTime(10, 0, 0)

    monkeypatch.setattr(search, "time_in_child", time_in_child)
    tune("--minutes", "20")
    assert 1 < len(probes) < 15  # of 100 s by this clock


@pytest.mark.parametrize("part", ["cell_of", "record_end"])
def test_an_error_in_one_thread_ends_the_others(tune, made_up, monkeypatch, part):
    """A thread may wait for a trial that will never end."""
    made_up(near)
    original, calls = getattr(Search, part), []

    def fails(self, *given):
        calls.append(given)
        if len(calls) == 2:
            raise OSError("no more processes")
        return original(self, *given)

    monkeypatch.setattr(Search, part, fails)
    with pytest.raises((OSError, SystemExit)):
        tune("--minutes", "60", "--jobs", "2")


def test_another_question_is_another_search(tune, made_up):
    made_up(near)
    tune("--minutes", "5")
    tune("--minutes", "5", more=["policy.groups=4"])
    known = trials.read(tune.file)
    digests = list(dict.fromkeys(trial.search for trial in known))
    assert len(digests) == 2
    assert tune.file.with_suffix(".md").read_text().count("policy.groups=4")
    assert next(t.number for t in known if t.search == digests[1]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--minutes", "0"), "--minutes must be above 0, got 0"),
        (("--jobs", "0"), "--jobs must be at least 1, got 0"),
        (("--episodes", "201"), "--episodes must be in 1..200"),
    ],
)
def test_options_that_cannot_be_used_are_refused(tune, words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        tune(*words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not tune.file.exists()


def test_a_damaged_file_of_trials_is_refused_and_kept(tune, capsys):
    tune.file.parent.mkdir(parents=True)
    tune.file.write_text("{}\n")
    with pytest.raises(SystemExit):
        tune("--minutes", "1")
    assert "dp_c.jsonl, line 1" in capsys.readouterr().err
    assert tune.file.read_text() == "{}\n"


def test_pauses_lie_at_lines_of_the_log():
    assert rungs(900) == [100, 300, 900]
    assert [whole_updates(n) for n in (5, 9, 100, 899, 5000)] == [9, 9, 99, 450, 4950]


@pytest.mark.parametrize("method", registry.methods_and_variants())
@pytest.mark.parametrize("kind", [None, IMAGE])
def test_every_value_of_a_search_space_is_one_that_the_preset_can_have(method, kind):
    method = registry.method(method)
    usual = preset(method, "pusht", "laptop", kind)
    for name, dim in space_of(method).items():
        values = (dim.low, dim.high) if isinstance(dim, LogUniform) else dim.values
        for value in values:
            changed = settings.override_all(usual, dim.changes(name, value))
            assert (
                isinstance(dim, JointChoice)
                or settings.names(changed)[name] is not None
            )


def test_a_trial_with_impossible_points_is_refused():
    (cell,) = resolve([search.Cell("pusht", "dp_c", 0)])
    assert cell.method.name == "dp_c"
    pause = Pause(10, (0.5,), (True,), 1.0)
    with pytest.raises(BadInput, match="as many scores as successes"):
        dataclasses.replace(pause, scores=())
    fields = {"number": 0, "search": "a", "conditions": None, "train_seed": 0}
    with pytest.raises(BadInput, match=r"pauses must lie in 1\.\.5 in order, got"):
        Trial(
            **fields, starts=1, commit="", values={}, changes=(), updates=5,
            update_seconds=1.0, pauses=(pause,),
        )  # fmt: skip


def test_a_training_with_few_updates_is_pruned_before_it_begins(
    tune, made_up, monkeypatch
):
    """Large networks would spend the time of the search on trainings of no use."""
    made_up(near)

    def time_in_child(cell, jobs):
        slow = dict(cell.changes).get("policy.horizons.action") == "10"
        return UpdateTime(20 if slow else 1, 0, 0)

    monkeypatch.setattr(search, "time_in_child", time_in_child)
    tune("--minutes", "30")
    known = trials.read(tune.file)
    slow = [t.values.get("policy.horizons.action") == "10" for t in known]
    assert any(slow)
    assert [t.updates for t in known] == [9 if s else 180 for s in slow]
    assert [t.state == "pruned" and not t.pauses for t in known] == slow
    tune("--minutes", "40")  # resumes with such trials among those before
    assert len(trials.read(tune.file)) > len(known)
