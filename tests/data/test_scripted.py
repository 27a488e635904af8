"""Demonstrations of a script: the same whoever plays them, and successes only."""

import dataclasses

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import scripted, store
from dp_bench.data.hdf5 import save
from dp_bench.errors import BadInput
from dp_bench.task import DemoSource

PUSHT = registry.task("pusht")


def with_script(name, episodes=25):
    source = DemoSource(
        about="made up", script=f"made_up:{name}", env_seeds=range(episodes)
    )
    return dataclasses.replace(PUSHT, sources={"scripted": source})


def test_only_successes_are_kept_in_the_order_of_their_seeds():
    demos = scripted.make(with_script("wander"), "scripted", processes=1)
    kept = [seed for seed in range(25) if seed % 5 != 4]
    assert demos.notes["env_seed"].tolist() == kept
    assert demos.notes["way"].tolist() == [seed % 2 for seed in kept]
    assert demos.lengths.tolist() == [3 + seed % 4 for seed in kept]
    assert demos.env_kwargs == {"obs": "keypoints", "control": "position"}


def test_the_number_of_processes_does_not_change_the_file(tmp_path):
    task = with_script("wander")
    for processes in (1, 2):
        demos = scripted.make(task, "scripted", processes=processes)
        save(demos, tmp_path / f"{processes}.hdf5")
    one, two = (tmp_path / f"{k}.hdf5" for k in (1, 2))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_source_that_limits_successes_keeps_those_of_the_first_seeds(processes):
    task = with_script("wander")
    wanted = dataclasses.replace(task.sources["scripted"], max_episodes=9)
    task = dataclasses.replace(task, sources={"scripted": wanted})
    demos = scripted.make(task, "scripted", processes=processes)
    kept = [seed for seed in range(25) if seed % 5 != 4][:9]
    assert demos.notes["env_seed"].tolist() == kept


def test_a_script_that_always_fails_is_an_error():
    with pytest.raises(BadInput, match="failed from all 3 seeds"):
        scripted.make(with_script("stumble", 3), "scripted", processes=1)


def test_scripted_demonstrations_are_made_once_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = with_script("wander", 7)
    monkeypatch.setattr(registry, "task", lambda name: task)
    demos = store.load_demos("pusht")
    assert demos.num_episodes == 6
    path = store.find("pusht")
    when = path.stat().st_mtime_ns
    again = store.load_demos("pusht", "scripted")
    np.testing.assert_array_equal(again.actions, demos.actions)
    assert path.stat().st_mtime_ns == when
