"""Arrays of foreign files: types, ends of episodes, and rows of several widths."""

import h5py
import numpy as np
import pytest
import zarr

from dp_bench import registry
from dp_bench.data import hdf5, readers
from dp_bench.data.demos import Demos
from dp_bench.data.readers import minari, npz, replay_zarr
from dp_bench.data.replay import replay
from dp_bench.errors import BadInput
from made_up import pusht_demos

ROWS = 10


def pusht_arrays():
    rng = np.random.default_rng(0)
    sizes = {"action": (2,), "state": (5,), "keypoint": (9, 2)}
    return {
        name: rng.uniform(100, 400, (ROWS, *size)).astype(np.float32)
        for name, size in sizes.items()
    }


def buffer(path, ends, **changes):
    """A replay buffer of PushT."""
    group = zarr.open_group(str(path), mode="w")
    for name, array in (pusht_arrays() | changes).items():
        group.create_dataset(f"data/{name}", data=array)
    group.create_dataset("meta/episode_ends", data=ends)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint64", ">i4", "int16"])
def test_ends_of_episodes_may_have_any_type_of_whole_numbers(tmp_path, dtype):
    task, ends = registry.task("pusht"), np.array([4, 10])
    demos = [
        readers.read(buffer(tmp_path / str(k), e), task)
        for k, e in enumerate((ends, ends.astype(dtype)))
    ]
    assert demos[0].digest == demos[1].digest
    assert demos[1].episode_ends.dtype == np.int64


@pytest.mark.parametrize(
    "ends",
    [
        np.array([10, 4, 10]),
        np.array([0, 10]),
        np.array([4, 4, 10]),
        np.array([-3, 10]),
        np.array([2**63 + 3, 10], np.uint64),
    ],
    ids=str,
)
def test_ends_that_do_not_increase_are_refused_by_every_reader(tmp_path, ends):
    buffer(tmp_path / "replay", ends)
    np.savez(tmp_path / "demos.npz", **pusht_arrays(), episode_ends=ends)
    names = tuple(pusht_arrays())
    for reader, file in ((replay_zarr, "replay"), (npz, "demos.npz")):
        with pytest.raises(BadInput, match="episode_ends must increase from above 0"):
            reader.read_arrays(tmp_path / file, names)


@pytest.mark.parametrize(
    "array",
    [
        np.full(ROWS, "x", "S3"),
        np.zeros((ROWS, 5), np.complex64),
        np.float32(3),
        np.zeros(ROWS, [("a", "f4"), ("b", "i4")]),
    ],
    ids=["text", "complex", "one number", "compound"],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, array):
    file = tmp_path / "demos.npz"
    np.savez(file, obs=array, action=np.zeros((ROWS, 2)), episode_ends=[ROWS])
    with pytest.raises(BadInput, match="'obs' must be numbers with one row"):
        readers.read(file, registry.task("blockpush"), "published")
    with h5py.File(tmp_path / "main_data.hdf5", "w") as minari_file:
        minari_file["episode_0/actions"] = np.zeros((ROWS - 1, 2))
        minari_file["episode_0/observations"] = array
        minari_file["episode_0/rewards"] = np.zeros(ROWS - 1)
    with pytest.raises(BadInput, match=r"must be numbers|damaged"):
        minari.read_arrays(tmp_path, ("state", "action"))


def test_minari_episodes_of_several_widths_are_refused_by_number(tmp_path):
    file = tmp_path / "main_data.hdf5"
    with h5py.File(file, "w") as data:
        for k, width in enumerate((4, 3)):
            data[f"episode_{k}/observations"] = np.zeros((6, width))
            data[f"episode_{k}/actions"] = np.zeros((5, 2))
            data[f"episode_{k}/rewards"] = np.zeros(5)
    with pytest.raises(BadInput) as caught:
        minari.read_arrays(file, ("state", "action"))
    assert str(caught.value) == (
        f"{file}: rows of observations must have one shape, and have (4,) in episode 0 "
        "and (3,) in episode 1"
    )


def test_text_that_no_file_can_hold_is_refused():
    with pytest.raises(BadInput, match=r"text must be UTF-8, got '<mujoco>\\udcff'"):
        pusht_demos((2, 3), models=("<mujoco/>", "<mujoco>\udcff"))


@pytest.mark.parametrize("text", ["[]", "3", "[" * 900 + "]" * 900, '{"state": 3}'])
@pytest.mark.parametrize("name", ["obs_keys", "env_kwargs"])
def test_attributes_of_our_files_are_objects(tmp_path, name, text):
    if name == "env_kwargs" and text.startswith("{"):
        pytest.skip("an object")
    file = tmp_path / "demos.hdf5"
    hdf5.save(pusht_demos(), file)
    with h5py.File(file, "r+") as opened:
        opened["data"].attrs[name] = text
    with pytest.raises(BadInput, match=f"{file}.*: get or make it again"):
        hdf5.load(file)


def test_demonstrations_are_the_same_with_ends_of_another_type():
    demos = pusht_demos()
    again = {f: getattr(demos, f) for f in Demos.__dataclass_fields__}
    again["episode_ends"] = demos.episode_ends.astype(np.uint64)
    assert Demos(**again).digest == demos.digest


@pytest.mark.parametrize(
    "arguments",
    [{"zzz": 1}, {"legacy": "no"}, {"obs": 3}, {"control": [1]}, {"render_mode": "x"}],
    ids=str,
)
def test_arguments_that_no_environment_takes_are_refused(arguments):
    demos = pusht_demos((2,), env_kwargs=arguments)
    with pytest.raises(BadInput, match="were recorded with"):
        replay(demos, registry.task("pusht"))
