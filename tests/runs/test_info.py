"""What identifies a run: the settings hash and the name of its folder."""

import dataclasses

import pytest

from dp_bench.runs.info import RunIdentity
from made_up import run_info

INFO = run_info(preset="custom", training={"updates": 3, "precision": "auto"})


@pytest.mark.parametrize(
    "change",
    [
        {"training": INFO.training | {"updates": 4}},
        {"training": INFO.training | {"precision": "bfloat16"}},
        {"policy": {"channels": [8, 32]}},
        {"policy": INFO.policy | {"obs_scale": 5.0}},
        {"control": "velocity"},
        {"demos_source": "other"},
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
    ],
)
def test_the_settings_hash_ignores_what_cannot_move_a_number(change):
    assert dataclasses.replace(INFO, **change).settings == INFO.settings


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
