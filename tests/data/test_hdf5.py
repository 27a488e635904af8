"""The HDF5 file of demonstrations."""

import resource
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.data import readers
from dp_bench.data.hdf5 import load, save
from dp_bench.errors import BadInput
from made_up import assert_same_demos, pusht_demos


def test_a_saved_file_loads_as_what_was_saved(tmp_path):
    demos = pusht_demos(lengths=range(1, 13))  # demo_2 comes before demo_10
    save(demos, tmp_path / "folder" / "a.hdf5")
    loaded = load(tmp_path / "folder" / "a.hdf5")
    assert_same_demos(loaded, demos)
    assert loaded.digest == demos.digest


def test_a_file_of_an_earlier_version_loads(tmp_path):
    """The first files had no list of observation keys, and `env_kwargs` elsewhere."""
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    with h5py.File(path, "r+") as file:
        for name in ("obs_keys", "env_kwargs"):
            del file["data"].attrs[name]
    assert_same_demos(load(path), pusht_demos())


def test_a_saved_file_has_the_layout_of_robomimic(tmp_path):
    demos = pusht_demos()
    save(demos, tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["data"].attrs["format"] == "dp_bench.demos"  # as in all files
        assert file["data"].attrs["total"] == 12
        assert '"env_name": "dp_bench/PushT-v0"' in file["data"].attrs["env_args"]
        demo = file["data/demo_1"]
        assert demo.attrs["num_samples"] == 5
        assert demo["dones"][:].tolist() == [0, 0, 0, 0, 1]
        assert demo["obs/image"].compression == "gzip"
        np.testing.assert_array_equal(demo["actions"][:], demos.actions[3:8])


WRITER = """
import sys, h5py
file = h5py.File(sys.argv[1], "a", libver=sys.argv[2])
file.attrs["x"] = 1
file.flush()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_is_being_written_is_not_called_damaged(tmp_path, is_ours, libver):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    if not is_ours:
        with h5py.File(path, "r+") as file:
            del file["data"].attrs["format"]
    command = [sys.executable, "-c", WRITER, str(path), libver]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(BadInput, match=r"open in another program.*close it"):
            readers.read(path, registry.task("pusht"), "scripted")
        writer.stdin.close()
        writer.wait()


@pytest.mark.parametrize("shape", [(), (3, 4), (0,)])
def test_observations_that_no_training_can_use_are_refused_in_a_file(tmp_path, shape):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    with h5py.File(path, "r+") as file:
        for group in file["data"].values():
            rows = len(group["obs/state"])
            del group["obs/state"]
            group["obs/state"] = np.zeros((rows, *shape))
    with pytest.raises(BadInput, match=r"a\.hdf5 cannot be used, .* obs/state must"):
        readers.read(path, registry.task("pusht"))


def test_a_file_that_a_killed_program_left_open_is_explained(tmp_path):
    path = tmp_path / "a.hdf5"
    code = """
import os, sys, h5py
file = h5py.File(sys.argv[1], "w", libver="latest")
file["data/demo_0/actions"] = [1.0]
file.flush()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    with pytest.raises(BadInput, match=r"was not closed by it.*h5clear -s"):
        readers.read(path, registry.task("pusht"), "human")


def test_images_in_a_file_that_is_being_written_are_not_called_damaged(tmp_path):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    images = load(path).obs["image"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", WRITER, str(path), "earliest"]
    with subprocess.Popen(command, **pipes) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(
            BadInput, match=r"changed meanwhile|open in another program"
        ):
            images[:1]
        writer.stdin.close()
        writer.wait()


def linked(path, other):
    with h5py.File(path, "r+") as file:
        file.move("data/demo_1", "data/demo_9")
        file["data/demo_1"] = h5py.ExternalLink(other.name, "/data/demo_1")


def stored_elsewhere(path, other):
    with h5py.File(path, "r+") as file:
        rows = file["data/demo_1/rewards"][:].astype("f4")
        del file["data/demo_1/rewards"]
        other.with_suffix(".raw").write_bytes(rows.tobytes())
        file["data/demo_1"].create_dataset(
            "rewards",
            shape=rows.shape,
            dtype="f4",
            external=[(str(other.with_suffix(".raw")), 0, rows.nbytes)],
        )


def virtual(path, other):
    with h5py.File(path, "r+") as file:
        shape = file["data/demo_1/rewards"].shape
        del file["data/demo_1/rewards"]
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource(other.name, "data/demo_1/rewards", shape)
        file["data/demo_1"].create_virtual_dataset("rewards", layout)


@pytest.mark.parametrize("change", [linked, stored_elsewhere, virtual])
def test_a_file_whose_rows_lie_in_another_file_is_refused(tmp_path, change):
    for name in ("a.hdf5", "b.hdf5"):
        save(pusht_demos(), tmp_path / name)
    change(tmp_path / "a.hdf5", tmp_path / "b.hdf5")
    with pytest.raises(
        BadInput, match=r"a\.hdf5 cannot be used: /data/demo_1.* b\.|raw"
    ):
        load(tmp_path / "a.hdf5")


def test_links_inside_a_file_are_followed(tmp_path):
    save(pusht_demos(), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.move("data", "archive")
        file["data"] = h5py.SoftLink("/archive")
        file["archive/demo_0/itself"] = file["archive/demo_0"]  # a circle
    assert_same_demos(load(tmp_path / "a.hdf5"), pusht_demos())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9, 0.999])
def test_a_damaged_file_is_refused_wherever_it_ends(tmp_path, share):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadInput, match=r"a\.hdf5"):
        load(path)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda data: data["demo_0/rewards"].__setitem__(0, 9), "other numbers"),
        (lambda data: data["demo_0"].attrs.modify("score", 0.0), "other numbers"),
        (lambda data: data["demo_0/states"].__setitem__(0, np.nan), "must be finite"),
        (lambda data: data.__delitem__("demo_1"), "other numbers"),
        (lambda data: data["demo_1"].__delitem__("actions"), "damaged"),
        (lambda data: data.attrs.modify("format_version", 2), "format version 2"),
        (lambda data: data.attrs.modify("format", "other"), "dp-bench wrote"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, harm, says):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    with h5py.File(path, "r+") as file:
        harm(file["data"])
    with pytest.raises(BadInput, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "dp-bench demos" in str(caught.value)


def test_load_refuses_a_path_that_save_did_not_write(tmp_path):
    (tmp_path / "text").write_text("no HDF5")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "text"):
        with pytest.raises(BadInput, match=path.name):
            load(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, share):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(len(before) * share), limits[1]))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*a\.hdf5: "):
            save(pusht_demos(scores=np.zeros(3)), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["a.hdf5"]
    assert path.read_bytes() == before


def test_save_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write"):
        save(pusht_demos(), tmp_path / "file" / "a.hdf5")


def test_a_file_can_be_copied_and_renamed(tmp_path):
    save(pusht_demos(), tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "a.hdf5", tmp_path / "b.bin")
    assert_same_demos(load(tmp_path / "b.bin"), pusht_demos())
