"""Demonstrations of a script: the same whoever plays them, and successes only."""

import dataclasses

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import scripted, store
from dp_bench.data.hdf5 import save
from dp_bench.errors import BadInput
from dp_bench.grid.cell import Cell, resolve
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


@pytest.fixture
def wandering(tmp_path, monkeypatch):
    """A task whose script would make 80 demonstrations, and an empty data folder."""
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setattr(store, "_cache_folder", lambda: tmp_path)
    many = {"wander": with_script("wander", 100), "few": with_script("wander", 20)}
    tasks = {name: dataclasses.replace(task, name=name) for name, task in many.items()}
    monkeypatch.setattr(registry.references, "load", lambda _: tasks)
    registry.tasks.cache_clear()
    yield registry.tasks()
    monkeypatch.undo()
    registry.tasks.cache_clear()


def test_a_smoke_test_makes_few_demonstrations_under_a_name_of_their_own(
    wandering, monkeypatch, tmp_path
):
    task = wandering["wander"]
    monkeypatch.undo()  # the scripts are found by their usual names again
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path))
    monkeypatch.setattr(store, "_cache_folder", lambda: tmp_path)
    smoke = Cell("wander", "dp_c", 0, preset="smoke")
    demos = resolve([smoke], task)[0].demos
    assert demos.source_name == "scripted-20"
    few = demos.loaded
    assert (few.num_episodes, few.source) == (registry.SMALL, "scripted-20")
    assert [file.name for file in tmp_path.glob("*.hdf5")] == [
        "wander-scripted-20.hdf5"
    ]
    assert store.find(task) is None, "they stand in for no full set"
    laptop = dataclasses.replace(smoke, preset="laptop")
    full = resolve([laptop], task)[0].demos
    assert full.source_name == "scripted"
    assert full.loaded.num_episodes == 80
    assert store.find(task, "scripted-20") != store.find(task)
    first = full.loaded.select(range(registry.SMALL))
    np.testing.assert_array_equal(first.actions, few.actions)


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({}, "scripted-20"),
        ({"source": "scripted"}, "scripted-20"),
        ({"source": "scripted-20"}, "scripted-20"),
        ({"preset": "laptop"}, None),
        ({"preset": "laptop", "source": "scripted-20"}, "scripted-20"),
        ({"demos": "own.hdf5"}, None),
    ],
)
def test_only_smoke_tests_of_a_script_learn_from_few(change, source):
    """BlockPush's script makes 1,000, robomimic's human demonstrations have none."""
    cell = Cell("blockpush", "dp_c", 0, **{"preset": "smoke", **change})
    assert resolve([cell])[0].names.source == source
    human = Cell("can", "dp_c", 0, preset="smoke", source="ph")
    assert resolve([human])[0].names.source == "ph"
    pusht = Cell("pusht", "dp_c", 0, preset="smoke")
    assert resolve([pusht])[0].names.source is None


def test_a_script_that_makes_few_has_no_smaller_set(wandering):
    assert list(wandering["wander"].sources) == ["scripted", "scripted-20"]
    assert list(wandering["few"].sources) == ["scripted"]
    assert registry.small_source(wandering["few"], None) is None
    assert wandering["wander"].default_source == "scripted"
