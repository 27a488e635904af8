"""One cell: trained and evaluated once, and not by two processes at a time."""

import dataclasses
import fcntl

import numpy as np
import pytest
import torch

from dp_bench.data import hdf5
from dp_bench.errors import BadInput
from dp_bench.evaluation import records
from dp_bench.grid import run as grid_run
from dp_bench.grid.cell import resolve
from dp_bench.runs.folder import RunFolder
from dp_bench.util.tensors import digest_of, load_tensors, save_tensors
from made_up import pusht_demos


def run(cell):
    return grid_run.run(*resolve([cell]))


def folder_of(cell):
    """The run folder of a cell, which is made but not trained."""
    folder = grid_run.prepare(*resolve([cell])).folder
    with grid_run.opened(folder):
        return folder


def test_a_finished_cell_is_not_made_again_and_another_setting_is(cell, monkeypatch):
    folder = RunFolder(run(cell))
    before = {f: f.stat().st_mtime_ns for f in folder.path.glob("[!.]*.*")}
    with monkeypatch.context() as patch:
        patch.setattr(
            "dp_bench.training.loop.train", lambda *_, **__: pytest.fail("trained")
        )
        patch.setattr(
            "dp_bench.evaluation.rollout.play", lambda *_, **__: pytest.fail("played")
        )
        assert run(cell) == folder.path
    assert {f: f.stat().st_mtime_ns for f in folder.path.glob("[!.]*.*")} == before

    slower = (*cell.changes, ("training.lr", "1e-5"))
    other = RunFolder(run(dataclasses.replace(cell, changes=slower)))
    assert other.path != folder.path
    assert folder.weights.read_bytes() != other.weights.read_bytes()

    run(dataclasses.replace(cell, episodes=2))
    assert len(records.read(folder.records)) == 4


def test_the_run_and_its_records_say_how_the_weights_were_trained(cell):
    folder = RunFolder(run(cell))
    trained = folder.trained()
    assert [(stage.update, stage.device) for stage in trained.stages] == [(0, "cpu")]
    assert trained.stages[0].precision == folder.info().training["precision"]
    assert trained.weights == digest_of(load_tensors(folder.weights)[0])
    assert {r.trained for r in records.read(folder.records)} == {trained}
    file = folder.path / "run.json"
    whole = file.read_text()
    file.write_text(whole.replace(f'"weights": "{trained.weights}"', '"weights": ""'))
    assert not folder.trained().weights  # killed between weights and digest
    run(cell)
    assert file.read_text() == whole


def test_evaluation_computes_as_precisely_after_a_training_as_without_one(
    cell, monkeypatch
):
    run(cell)
    (first,), (resolved,) = resolve([cell]), resolve([cell])
    prepared, chosen = grid_run.prepare(first), []
    monkeypatch.setattr(grid_run, "prepare", lambda cell: prepared)
    monkeypatch.setattr(type(resolved), "device", "cuda")
    monkeypatch.setattr(torch, "set_float32_matmul_precision", chosen.append)
    usual = torch.get_float32_matmul_precision()
    with grid_run.trained(resolved):
        assert chosen == ["high", usual]


def test_the_run_says_how_many_episodes_were_padded(cell):
    assert RunFolder(run(cell)).info().padded_episodes == 0
    # Four episodes of 20 to 26 steps, one of them held back.
    longer = (*cell.changes, ("policy.horizons.prediction", "64"))
    info = RunFolder(run(dataclasses.replace(cell, changes=longer))).info()
    assert info.padded_episodes == info.train_episodes == 3


def test_images_under_another_name_are_refused_before_training(cell, tmp_path):
    images = np.zeros((12, 8, 8, 3), np.uint8)
    hdf5.save(pusht_demos(obs={"keypoints": images}), tmp_path / "images.hdf5")
    with pytest.raises(BadInput, match=r"'keypoints' of these .* images"):
        run(dataclasses.replace(cell, demos=str(tmp_path / "images.hdf5")))


def test_velocity_control_is_learned_from_displacements(cell, demos_file, monkeypatch):
    by_velocity = dataclasses.replace(cell, control="velocity")
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "dp_bench.training.loop.train", lambda *given, **_: seen.append(given)
        )
        for each in (cell, by_velocity):
            with grid_run.trained(*resolve([each])):
                pass
    (_, data, validation, *_), (_, displaced, displaced_validation, *_) = seen
    for positions, converted in ((data, displaced), (validation, displaced_validation)):
        np.testing.assert_array_equal(converted[0], positions[0])
        np.testing.assert_array_equal(converted[2], positions[2])
    demos = hdf5.load(demos_file)
    learned = np.concatenate([displaced[1], displaced_validation[1]])
    expected = (demos.actions - demos.states[:, :2]).astype(np.float32)
    assert sorted(learned.tolist()) == sorted(expected.tolist())

    folder = RunFolder(run(by_velocity))
    assert {r.control for r in records.read(folder.records)} == {"velocity"}
    position = folder_of(cell)
    assert folder.path != position.path
    assert folder.info().control == "velocity"
    assert folder.info().demos_digest == position.info().demos_digest == demos.digest
    assert folder.info().split_digest == position.info().split_digest


def test_no_two_processes_work_in_one_run_folder(cell):
    folder = folder_of(cell)
    with open(folder.path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match=r"another process is working in .*dp_c-"):
            run(cell)
    with grid_run.opened(folder):  # and it is free again
        pass


def test_what_a_killed_process_left_half_written_is_cleared_away(cell):
    left = folder_of(cell).path / ".part.123.weights.safetensors"
    left.write_bytes(b"half")
    folder_of(cell)
    assert not left.exists()


def test_weights_that_are_there_are_taken_as_they_are(cell):
    folder = RunFolder(run(cell))
    tensors, facts = load_tensors(folder.weights)
    save_tensors(folder.weights, tensors, facts | {"update": 99})
    folder.records.unlink()
    run(cell)
    assert {r.step for r in records.read(folder.records)} == {99}
