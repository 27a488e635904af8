"""Robomimic: recordings of robosuite itself, which hold states and actions only."""

import json

import h5py
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import readers
from dp_bench.data.demos import joined
from dp_bench.data.replay import replay
from dp_bench.errors import BadInput

pytest.importorskip("robosuite", reason="needs robosuite: 'dp-bench[robomimic]'")
from dp_bench.envs.robomimic.scripts.lift import demonstrate
from robomimic_envs import recorded_moves, write_as_robomimic


@pytest.fixture(scope="module")
def moves():
    return recorded_moves()


def write_recording(demos, path, version="1.5.2"):
    """Writes what robosuite's script for collecting demonstrations writes."""
    write_as_robomimic(demos, path)
    with h5py.File(path, "r+") as file:
        data = file["data"]
        args = json.loads(data.attrs["env_args"])
        config = {name: args["env_kwargs"][name] for name in KEPT}
        for name in list(data.attrs):
            del data.attrs[name]
        data.attrs["env"] = args["env_name"]
        data.attrs["env_info"] = json.dumps({"env_name": args["env_name"], **config})
        data.attrs["repository_version"] = version
        for demo in data.values():
            for name in [n for n in demo if n not in ("states", "actions")]:
                del demo[name]
        del file["mask"]
    return path


KEPT = ("robots", "controller_configs")


def test_states_of_a_recording_are_observed(moves, tmp_path):
    path = write_recording(moves, tmp_path / "demo.hdf5")
    demos = readers.read(path, registry.task("lift"), "ph")
    one, other = demos.obs["state"], moves.obs["state"]
    np.testing.assert_allclose(one[::6], other[::6], atol=1e-5)
    # after a step robosuite observes the physics step before, and the hand moves fast
    np.testing.assert_allclose(one, other, atol=0.02)
    np.testing.assert_array_equal(demos.actions, moves.actions)
    np.testing.assert_allclose(demos.states, moves.states, atol=1e-12)
    assert demos.rewards.tolist() == [0.0] * 18
    assert replay(demos, registry.task("lift"), num_processes=1).drift.max() < 0.01


def test_a_recorded_success_has_its_reward(tmp_path):
    seeds = iter(range(10))
    episode = next(filter(None, map(demonstrate, seeds)))
    kwargs = {"obs": "state", "control": "velocity"}
    demos = joined("lift", "scripted", [episode], kwargs)
    path = write_recording(demos, tmp_path / "demo.hdf5")
    again = readers.read(path, registry.task("lift"), "ph")
    np.testing.assert_array_equal(again.rewards, demos.rewards)
    assert again.scores.tolist() == [1.0]


def test_a_recording_is_imported_and_replayed(moves, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    path = write_recording(moves, tmp_path / "demo.hdf5")
    main(["demos", "get", "lift", "--source", "ph", "--from", str(path)])
    said = capsys.readouterr().out
    assert "lift, ph: 3 episodes, 18 steps" in said
    assert "replayed 3 of 3 episodes: 3 end as recorded" in said


@pytest.mark.parametrize(
    ("version", "env_info", "message"),
    [
        ("1.4.1", None, "robosuite itself, version 1.4.*dataset_states_to_obs"),
        ("", None, "robosuite itself, version unknown.*dataset_states_to_obs"),
        ("1.5.2", "{", "its attribute env_info is no JSON of robosuite"),
        ("1.5.2", '{"env_name": "Door"}', "they are of Door, but the task is Lift"),
    ],
)
def test_recordings_that_cannot_be_observed_are_refused(
    moves, tmp_path, version, env_info, message
):
    path = write_recording(moves, tmp_path / "demo.hdf5", version)
    if env_info is not None:
        with h5py.File(path, "r+") as file:
            file["data"].attrs["env_info"] = env_info
    with pytest.raises(BadInput, match=message):
        readers.read(path, registry.task("lift"), "ph")
