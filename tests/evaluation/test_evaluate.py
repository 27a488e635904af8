"""Evaluation: which episodes are played, and which records come back."""

import dataclasses
import os

import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation import records, rollout
from dp_bench.evaluation.evaluate import changed, evaluate
from dp_bench.runs.folder import RunFolder
from dp_bench.task import MOST_TEST_STARTS, TEST_STARTS, VALIDATION_STARTS, Outcome
from dp_bench.util.shard import Shard
from made_up import written_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with an untrained policy."""
    return written_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run folder, without records."""
    folder = RunFolder(tmp_path / "run")
    folder.write_info(run.info())
    os.link(run.weights, folder.weights)
    return folder


@pytest.fixture
def small_task(monkeypatch):
    """PushT with two lanes: several groups from few episodes."""
    table = registry.tasks()
    small = dataclasses.replace(table["pusht"], lanes=2)
    monkeypatch.setitem(table, "pusht", small)
    assert registry.task("pusht").lanes == 2


def equal_but_for_times(one, other):
    """Compares two lists of records."""
    return len(one) == len(other) and all(map(records.same, one, other))


def test_the_number_of_processes_does_not_change_the_records(copy, small_task):
    options = {"episodes": 3, "variants": ["default"]}
    in_this_process = evaluate(copy, processes=1, **options)
    copy.records.unlink()
    in_two_workers = evaluate(copy, processes=2, **options)
    assert equal_but_for_times(in_this_process, in_two_workers)
    assert equal_but_for_times(records.read(copy.records), in_this_process)


def test_shards_give_the_records_of_a_whole_evaluation(copy, small_task):
    """Whatever part is played first, and when some starts were played before."""
    options = {"episodes": 7, "processes": 1}
    whole = evaluate(copy, **options)
    copy.records.unlink()
    evaluate(copy, episodes=2, processes=1)
    counts = []
    for number in (3, 1, 2):
        evaluate(copy, shard=Shard(number, 3), **options)
        counts.append(len(records.read(copy.records)))
    assert 2 < counts[0] < counts[1] < counts[2] == 14
    assert equal_but_for_times(evaluate(copy, **options), whole)
    assert len(records.read(copy.records)) == 14  # nothing is there twice


def test_parts_share_evaluations_that_have_fewer_groups_than_parts(copy, small_task):
    played = [
        evaluate(
            copy,
            episodes=2,
            variants=["default"],
            shard=Shard(2, 4),
            offset=offset,
            processes=1,
        )
        for offset in (0, 1)
    ]
    assert [len(records) for records in played] == [0, 2]


def test_a_shard_returns_what_is_there(copy, small_task):
    played = evaluate(copy, episodes=4, shard=Shard(2, 4), processes=1)
    assert [(r.variant, r.env_seed) for r in played] == [
        ("default", 100_002),
        ("default", 100_003),
    ]


def test_a_second_evaluation_gives_equal_records(tmp_path, capsys):
    """The noise floor of evaluation is 0, under any train seed, in any processes."""
    words = ["eval", str(tmp_path / "run"), "--episodes", "2", "--variants", "default"]
    folder = written_run(tmp_path / "run", train_seed=3)
    evaluated = []
    for processes in ("1", "2"):
        main([*words, "--processes", processes])
        evaluated.append(records.read(folder.records))
        folder.records.unlink()
    assert equal_but_for_times(*evaluated)
    assert len(evaluated[0]) == 2


@pytest.mark.parametrize(("episodes", "processes"), [(2, 1), (6, None)])
def test_few_steps_are_played_in_this_process(copy, monkeypatch, episodes, processes):
    asked = []

    def play(spec, groups, **options):
        asked.append(options["processes"])
        raise BadInput("seen enough")

    monkeypatch.setattr(rollout, "play", play)
    with pytest.raises(BadInput, match="seen enough"):  # PushT takes 300 steps
        evaluate(copy, episodes=episodes, variants=["default"])
    assert asked == [processes]


def test_only_episodes_without_a_record_are_played(copy, small_task, monkeypatch):
    options = {"episodes": 3, "variants": ["legacy"], "processes": 1}
    played = []

    def play(spec, groups, **options):
        played.append(groups)
        return real_play(spec, groups, **options)

    real_play = rollout.play
    monkeypatch.setattr(rollout, "play", play)
    first = evaluate(copy, **options)
    assert [r.env_seed for r in first] == list(TEST_STARTS[:3])
    assert {r.step for r in first} == {5}
    whole = copy.records.read_bytes()
    assert evaluate(copy, **options) == first
    assert copy.records.read_bytes() == whole

    first_line, *_ = whole.splitlines(keepends=True)
    copy.records.write_bytes(first_line + b'{"task": "pus')  # killed while writing
    assert equal_but_for_times(evaluate(copy, **options), first)
    assert equal_but_for_times(records.read(copy.records), first)
    both = [tuple(TEST_STARTS[:2]), tuple(TEST_STARTS[2:3])]
    assert played == [both, both], "a group of two lanes is played as a whole"


class Seen(Exception):
    """Ends an evaluation before it plays."""


@pytest.fixture
def groups_played(copy, monkeypatch):
    """Asks which groups of env seeds an evaluation would play."""

    def groups(lanes, **options):
        def play(spec, groups, **options):
            raise Seen(groups)

        monkeypatch.setattr(rollout, "play", play)
        table = registry.tasks()
        task = dataclasses.replace(table["pusht"], lanes=lanes)
        with pytest.raises(Seen) as seen:
            evaluate(copy, task=task, variants=["default"], **options)
        return list(seen.value.args[0])

    return groups


@pytest.mark.parametrize(
    ("options", "played"),
    [
        ({}, range(100_000, 100_050)),
        ({"episodes": 50}, range(100_000, 100_050)),
        ({"episodes": 51}, range(100_000, 100_051)),
        ({"episodes": 1000}, range(100_000, 101_000)),
        ({"starts": "validation"}, range(50_000, 50_200)),
    ],
)
def test_which_starts_are_played(groups_played, options, played):
    groups = groups_played(25, **options)
    assert [seed for group in groups for seed in group] == list(played)


@pytest.mark.parametrize("lanes", [1, 7, 20, 25, 64])
def test_further_starts_leave_the_groups_of_the_protocol_alone(groups_played, lanes):
    """Lanes of a group share a batch, so a fuller group could change last digits."""
    usual = groups_played(lanes)
    assert groups_played(lanes, episodes=120)[: len(usual)] == usual


def test_no_start_is_of_two_kinds():
    scripted = [
        source.env_seeds
        for task in registry.tasks().values()
        for source in task.sources.values()
    ]
    assert set(TEST_STARTS) < set(MOST_TEST_STARTS)
    for others in (VALIDATION_STARTS, *scripted):
        assert not set(MOST_TEST_STARTS) & set(others)


def test_each_variant_is_played_in_its_own_environment(copy):
    default, legacy = (
        [r.score for r in evaluate(copy, episodes=3, variants=[v], processes=1)]
        for v in ("default", "legacy")
    )
    assert default != legacy


def test_records_say_when_the_task_was_solved(copy, monkeypatch):
    """An untrained policy solves nothing; the environment says so at every step."""
    options = {"episodes": 1, "variants": ["default"], "processes": 1}
    (record,) = evaluate(copy, **options)
    assert (record.success_once, record.success_at_end) == (False, False)
    copy.records.unlink()
    task = dataclasses.replace(registry.task("pusht"), score=f"{__name__}:plain")
    (record,) = evaluate(copy, task=task, **options)
    assert (record.success_once, record.success_at_end) == (None, None)
    assert records.read(copy.records) == [record]


def plain(rewards, infos):
    """Scores an episode as other packages do, which know three numbers of it."""
    return Outcome(0.25, True, {"final_iou": 0.0})


def test_changed_sampler_settings_get_records_of_their_own(copy):
    options = {"episodes": 1, "variants": ["default"], "processes": 1}
    (plain,) = evaluate(copy, **options)
    changes = {"policy.sampler": "ddpm", "sample_steps": "3"}
    (changed,) = evaluate(copy, changes=changes, **options)
    assert plain.preset == "smoke"
    assert changed.preset == "custom"
    assert changed.settings != plain.settings
    (other,) = evaluate(copy, starts="validation", **options)
    assert other.env_seed == VALIDATION_STARTS[0]
    assert len(records.read(copy.records)) == 3


def test_a_setting_of_the_training_may_be_repeated(copy):
    """The text may differ from how Python writes the value."""
    info = copy.info()
    for text in ("1", "1.0", "1e0"):
        assert changed(info, {"policy.obs_scale": text}).policy["obs_scale"] == 1.0
    assert changed(info, {"policy.hidden_obs": "none"}).policy["hidden_obs"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": "training"}, "one of test, validation, decision; got 'training'"),
        ({"episodes": 1001}, r"in 1\.\.1000, the number of test starts; got 1001"),
        ({"episodes": 0}, "test starts; got 0"),
        (
            {"episodes": 201, "starts": "validation"},
            r"in 1\.\.200, the number of validation starts; got 201",
        ),
        (
            {"variants": ["default", "windy"]},
            "no variant 'windy'; it has default",
        ),
        ({"step": 7}, "no 000007.safetensors"),
        ({"changes": {"policy.samplr": "ddpm"}}, "did you mean 'sampler'"),
        ({"changes": {"channels": "16,32"}}, "does not fit"),
        (
            {"changes": {"policy.objective": "mip"}},
            "policy.objective was ddpm in training, .* cannot make it mip",
        ),
        ({"changes": {"predicts": "sample"}}, "policy.predicts was noise in training"),
        ({"changes": {"obs_scale": "10"}}, "policy.obs_scale was 1.0 in training"),
    ],
)
def test_bad_options_are_refused_before_anything_is_played(copy, options, message):
    with pytest.raises(BadInput, match=message):
        evaluate(copy, **options)
    assert not copy.records.exists()
