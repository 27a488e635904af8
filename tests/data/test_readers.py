"""Foreign recordings, and the ways in which they arrive broken."""

import dataclasses
import json
import re
import shutil
import time
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
import zarr
from numcodecs import BZ2, LZ4, LZMA, Blosc, Delta, GZip, Zlib, Zstd

from dp_bench import registry
from dp_bench.data import hdf5, readers
from dp_bench.data.demos import Demos
from dp_bench.data.readers.replay_zarr import read_arrays
from dp_bench.errors import BadInput

NAMES = ("action", "state", "keypoint")


def arrays_of(num_rows=10):
    rng = np.random.default_rng(0)
    sizes = {"action": (2,), "state": (5,), "keypoint": (9, 2)}
    return {
        name: rng.uniform(100, 400, (num_rows, *size)).astype(np.float32)
        for name, size in sizes.items()
    }


@pytest.fixture
def folder(tmp_path):
    """A replay buffer of two episodes, in chunks of three rows."""
    root = tmp_path / "replay.zarr"
    group = zarr.open_group(str(root), mode="w")
    for name, array in arrays_of().items():
        group.create_dataset(f"data/{name}", data=array, chunks=(3, *array.shape[1:]))
    group.create_dataset("data/img", shape=(10, 9), dtype="f4", chunks=(1, 9))
    group.create_dataset("meta/episode_ends", data=np.array([4, 10]))
    return root


def zipped(folder, path, inside="", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + file.relative_to(folder).as_posix())
    return path


@pytest.fixture(params=["folder", "outer folder", "zip", "nested zip"])
def replay(request, folder, tmp_path):
    if request.param == "folder":
        return folder
    if request.param == "outer folder":
        return tmp_path
    inside = "pusht/replay.zarr/" if request.param == "nested zip" else ""
    return zipped(folder, tmp_path / "pusht.zip", inside)


def test_a_replay_buffer_reads_the_same_however_it_is_packed(replay):
    # `img` has no chunk at all: whoever touched it would be refused.
    arrays, ends = read_arrays(replay, NAMES)
    for name, array in arrays_of().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert ends.tolist() == [4, 10]


def two_buffers(folder, tmp_path):
    """A folder with two buffers, and a zip of it."""
    outer = tmp_path / "outer"
    shutil.copytree(folder, outer / "train.zarr")
    shutil.copytree(folder, outer / "deep" / "val.zarr")
    return outer, zipped(outer, tmp_path / "outer.zip")


def test_a_choice_between_two_replay_buffers_is_refused(folder, tmp_path):
    for path in two_buffers(folder, tmp_path):
        for read in (
            lambda path: read_arrays(path, NAMES),
            lambda path: readers.read(path, registry.task("pusht")),
        ):
            with pytest.raises(BadInput, match=r"deep/val\.zarr and train\.zarr"):
                read(path)


def test_a_buffer_inside_another_is_still_a_second_one(folder):
    shutil.copytree(folder, folder.parent / "copy")
    shutil.move(folder.parent / "copy", folder / "old")
    with pytest.raises(BadInput, match=r"its top folder and old"):
        read_arrays(folder, NAMES)


def test_a_choice_between_data_sets_of_other_formats_is_refused(folder):
    outer, task = folder.parent, registry.task("pusht")
    with h5py.File(outer / "main_data.hdf5", "w") as file:
        file["episode_0/actions"] = np.zeros((3, 2))
    with pytest.raises(BadInput, match=r"several data sets .*zarr.*Minari"):
        readers.read(outer, task)
    (outer / "data").mkdir()
    shutil.copy(outer / "main_data.hdf5", outer / "data")
    with pytest.raises(BadInput, match="two Minari data sets, data/main_data"):
        readers.read(outer, task)


def test_chunks_in_nested_folders_are_read(folder):
    shutil.rmtree(folder / "data" / "action")
    array, group = arrays_of()["action"], zarr.open_group(str(folder), mode="a")
    group.create_dataset(
        "data/action", data=array, chunks=(3, 1), dimension_separator="/"
    )
    assert (folder / "data" / "action" / "1" / "0").is_file()
    arrays, _ = read_arrays(folder, ("action",))
    np.testing.assert_array_equal(arrays["action"], array)


def test_chunks_of_zeros_that_zarr_left_out_are_read_with_a_warning(folder, tmp_path):
    arrays = arrays_of()
    arrays["action"][3:6] = 0
    group = zarr.open_group(str(folder), mode="a")
    del group["data/action"]
    group.create_dataset(
        "data/action", data=arrays["action"], chunks=(3, 2), write_empty_chunks=False
    )
    assert not (folder / "data" / "action" / "1.0").exists()
    for path in (folder, zipped(folder, tmp_path / "a.zip", "x/")):
        with pytest.warns(UserWarning, match="1 of 4 chunks of array 'data/action'"):
            read, _ = read_arrays(path, NAMES)
        np.testing.assert_array_equal(read["action"], arrays["action"])


def test_ends_and_whole_arrays_are_never_made_up(folder):
    (folder / "meta" / "episode_ends" / "0").unlink()
    with pytest.raises(BadInput, match=r"episode_ends.*no chunk at all"):
        read_arrays(folder, NAMES)


def test_a_missing_chunk_of_an_array_without_zeros_is_refused(folder):
    about = folder / "data" / "state" / ".zarray"
    described = json.loads(about.read_text()) | {"fill_value": None}
    about.write_text(json.dumps(described))
    (folder / "data" / "state" / "2.0").unlink()
    with pytest.raises(BadInput, match="'data/state' lacks 1 of its 4 chunks"):
        read_arrays(folder, NAMES)


def test_a_buffer_of_zarr_format_3_is_refused_with_the_way_out(tmp_path):
    about = tmp_path / "replay.zarr" / "meta" / "episode_ends" / "zarr.json"
    about.parent.mkdir(parents=True)
    about.write_text('{"zarr_format": 3, "node_type": "array"}')
    zip_file = zipped(tmp_path / "replay.zarr", tmp_path / "a.zip")
    for path in (tmp_path / "replay.zarr", zip_file):
        with pytest.raises(BadInput, match=r"format 3.*`zarr_format=2`"):
            readers.read(path, registry.task("pusht"))


@pytest.mark.parametrize(
    "codec",
    [Zstd(3), GZip(5), Zlib(5), LZ4(), LZMA(), BZ2(), None, Blosc("zstd")],
    ids=str,
)
def test_known_codecs_are_unpacked_and_their_size_is_checked(folder, codec):
    group, array = zarr.open_group(str(folder), mode="a"), arrays_of()["action"]
    del group["data/action"]
    group.create_dataset("data/action", data=array, chunks=(3, 2), compressor=codec)
    read, _ = read_arrays(folder, ("action",))
    np.testing.assert_array_equal(read["action"], array)
    if codec is not None:
        large = codec.encode(np.zeros(1_000_000, np.float32))
        (folder / "data" / "action" / "1.0").write_bytes(bytes(large))
        with pytest.raises(BadInput, match=r"chunk 1\.0 .*must"):
            read_arrays(folder, ("action",))


def test_filters_that_run_no_code_are_undone(folder):
    group = zarr.open_group(str(folder), mode="a")
    array = np.arange(20, dtype=np.int64).reshape(10, 2)
    del group["data/action"]
    group.create_dataset(
        "data/action", data=array, chunks=(3, 2), filters=[Delta("i8", "i2")]
    )
    read, _ = read_arrays(folder, ("action",))
    np.testing.assert_array_equal(read["action"], array)


@pytest.mark.parametrize("size", [0, 10, 20, -1])
def test_a_truncated_chunk_is_refused(folder, size):
    chunk = folder / "data" / "state" / "1.0"
    chunk.write_bytes(chunk.read_bytes()[:size])
    with pytest.raises(BadInput, match="truncated"):
        read_arrays(folder, NAMES)


def test_a_changed_byte_in_a_zip_is_noticed(folder, tmp_path):
    path = zipped(folder, tmp_path / "a.zip")
    chunk = (folder / "data" / "action" / "1.0").read_bytes()
    content = bytearray(path.read_bytes())
    content[content.index(chunk) + len(chunk) - 1] ^= 255
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.zip is truncated or damaged"):
        read_arrays(path, NAMES)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_zip_truncated_anywhere_is_refused(folder, tmp_path, share):
    path = zipped(folder, tmp_path / "a.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInput, match=r"a\.zip"):
        readers.read(path, registry.task("pusht"))


def test_a_missing_array_is_named(folder):
    with pytest.raises(BadInput, match="no array 'data/velocity'"):
        read_arrays(folder, ("velocity",))


def test_arrays_of_unequal_length_are_refused(folder):
    ends = zarr.open_group(str(folder), mode="a")["meta/episode_ends"]
    ends[1] = 9
    with pytest.raises(BadInput, match="has 10 rows, and the last episode ends at 9"):
        read_arrays(folder, NAMES)


@pytest.mark.parametrize("place", ["compressor", "filters", "dtype"])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("name", ["pickle", "json2", "vlen-utf8", "of_a_plug_in"])
def test_nothing_is_unpickled(folder, place, consolidated, name):
    about = folder / "data" / "action" / ".zarray"
    described = json.loads(about.read_text())
    codec = {"id": name}
    described[place] = {"compressor": codec, "filters": [codec], "dtype": "|O"}[place]
    if consolidated:
        metadata = {"data/action/.zarray": described}
        (folder / ".zmetadata").write_text(json.dumps({"metadata": metadata}))
    else:
        about.write_text(json.dumps(described))
    message = "pickled" if place == "dtype" else f"packed with '{name}'"
    with pytest.raises(BadInput, match=message):
        read_arrays(folder, NAMES)


def test_every_format_gives_the_same_demonstrations(replay, tmp_path):
    task = registry.task("pusht")
    foreign = readers.read(replay, task)
    hdf5.save(foreign, tmp_path / "ours.hdf5")
    ours = readers.read(tmp_path / "ours.hdf5", task, "human")
    assert foreign.digest == ours.digest
    assert (ours.task, ours.source) == ("pusht", "human")


def test_demonstrations_of_another_task_or_source_are_refused(folder, tmp_path):
    task = registry.task("pusht")
    hdf5.save(readers.read(folder, task), tmp_path / "a.hdf5")
    with pytest.raises(BadInput, match="of 'pusht', not of 'other'"):
        readers.read(tmp_path / "a.hdf5", dataclasses.replace(task, name="other"))
    with pytest.raises(BadInput, match="'human' demonstrations, not 'scripted'"):
        readers.read(tmp_path / "a.hdf5", task, "scripted")


def test_a_bad_number_in_a_foreign_file_is_located(folder):
    zarr.open_group(str(folder), mode="a")["data/action"][6, 1] = np.nan
    with pytest.raises(
        BadInput, match=r"replay\.zarr.*action must.*episode 1 at step 2"
    ):
        readers.read(folder, registry.task("pusht"))


def foreign_files(root, state):
    """The same two episodes in each format of a file, with these states, `(10, D)`."""
    ends, actions = np.array([4, 10]), np.ones((10, 7))
    group = zarr.open_group(str(root / "a.zarr"), mode="w")
    for name, array in (("state", state), ("action", actions)):
        group.create_dataset(f"data/{name}", data=array)
    group.create_dataset("meta/episode_ends", data=ends)
    np.savez(root / "a.npz", state=state, action=actions, episode_ends=ends)
    with (
        h5py.File(root / "minari.hdf5", "w") as minari,
        h5py.File(root / "robomimic.hdf5", "w") as robomimic,
    ):
        robomimic.create_group("data").attrs["env_args"] = "{}"
        for k, rows in enumerate((slice(0, 4), slice(4, 10))):
            later = np.concatenate([state[rows], state[:1]])
            minari[f"episode_{k}/observations"] = later
            minari[f"episode_{k}/actions"] = actions[rows]
            robomimic[f"data/demo_{k}/state"] = state[rows]
            robomimic[f"data/demo_{k}/action"] = actions[rows]
            robomimic[f"data/demo_{k}/actions"] = actions[rows]
    return {p.name: p for p in root.iterdir()}


def clipped(arrays, ends):
    """A converter that clips, as environments do."""
    return Demos(
        task="pusht",
        source="human",
        obs={"state": np.asarray(arrays["state"], np.float32).clip(-100, 100)},
        actions=arrays["action"],
        states=np.zeros((10, 5)),
        rewards=np.zeros(10),
        scores=np.zeros(2),
        episode_ends=ends,
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("name", ["a.zarr", "a.npz", "minari.hdf5", "robomimic.hdf5"])
def test_no_converter_sees_a_number_that_is_not_finite(tmp_path, name, dtype, value):
    """A converter that clips made infinity a number that looks like any other."""
    task = registry.task("pusht")
    source = dataclasses.replace(
        task.sources["human"],
        convert=f"{__name__}:clipped",
        arrays=("state", "action"),
    )
    task = dataclasses.replace(task, sources={"human": source})
    state = np.linspace(0, 5, 30).reshape(10, 3).astype(dtype)
    good = readers.read(foreign_files(tmp_path, state)[name], task)
    np.testing.assert_allclose(good.obs["state"], state)
    state[6, 1] = value
    with pytest.raises(
        BadInput, match=r"state must be finite.*(episode 1 at step 2|row 2 of demo_1)"
    ):
        readers.read(foreign_files(tmp_path, state)[name], task)


def test_the_error_about_an_unknown_format_lists_the_known_ones(tmp_path):
    with h5py.File(tmp_path / "foreign.hdf5", "w") as file:
        file["rollouts/demo_0/actions"] = np.zeros((3, 2))
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name in ("foreign.hdf5", "text", "empty"):
        with pytest.raises(BadInput, match=f"{name}.*HDF5 that dp-bench wrote.*zarr"):
            readers.read(tmp_path / name, registry.task("pusht"))


@pytest.mark.parametrize(
    ("task", "source"),
    [("can", None), ("can", "ph"), ("blockpush", None), ("blockpush", "published")],
)
def test_a_file_of_another_task_names_that_task(folder, task, source):
    with pytest.raises(BadInput, match=rf"of task 'pusht', not of '{task}'"):
        readers.read(folder, registry.task(task), source)


def test_a_robomimic_file_without_arrays_is_not_said_to_be_of_another(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.zeros((3, 7))
        file["data"].attrs["env_args"] = "{}"
    with pytest.raises(BadInput, match="demo_0 has no 'states'"):
        readers.read(tmp_path / "a.hdf5", registry.task("lift"), "ph")


def test_a_task_without_a_converter_is_refused(folder):
    task = dataclasses.replace(registry.task("pusht"), sources={})
    with pytest.raises(BadInput, match="no converter"):
        readers.read(folder, task)


def sources_named(message):
    return re.findall(r"--source (\S+)`", message)


@pytest.mark.parametrize("name", ["a.zarr", "a.npz", "minari.hdf5", "robomimic.hdf5"])
@pytest.mark.parametrize("task", ["blockpush", "kitchen"])
def test_only_a_source_that_the_file_fits_is_advised(tmp_path, task, name):
    """The arrays are of no task, so no source of any task leads anywhere."""
    path = foreign_files(tmp_path, np.zeros((10, 3)))[name]
    with pytest.raises(BadInput, match="no converter for its scripted") as caught:
        readers.read(path, registry.task(task))
    message = str(caught.value)
    assert not sources_named(message)
    assert "save them with `dp_bench.data.hdf5.save`" in message
    other = {"blockpush": "published", "kitchen": "complete-v2"}[task]
    assert f"nor does the file fit source '{other}'" in message
    with pytest.raises(BadInput) as reason:
        readers.read(path, registry.task(task), other)
    words = str(reason.value).removeprefix(str(path)).strip(" :")
    assert words.removeprefix("cannot be used, ") in message


def test_a_source_that_is_advised_works(tmp_path):
    path = tmp_path / "a.npz"
    rng = np.random.default_rng(0)
    np.savez(
        path,
        obs=rng.uniform(0.3, 0.5, (10, 16)),
        action=rng.uniform(-0.01, 0.01, (10, 2)),
        episode_ends=[4, 10],
    )
    with pytest.raises(BadInput, match="no converter for its scripted") as caught:
        readers.read(path, registry.task("blockpush"))
    (source,) = sources_named(str(caught.value))
    assert readers.read(path, registry.task("blockpush"), source).num_episodes == 2


def test_the_published_file_has_all_episodes_and_the_published_digest(shared):
    path = shared / "data" / "pusht" / "pusht_cchi_v7_replay.zarr.zip"
    demos = readers.read(path, registry.task("pusht"))
    assert (demos.num_episodes, len(demos.actions)) == (206, 25_650)
    assert demos.digest == registry.task("pusht").sources["human"].digest


def test_links_to_other_files_are_refused_in_every_hdf5_format(tmp_path):
    for name in ("minari", "robomimic"):
        episode = "episode_0" if name == "minari" else "data/demo_0"
        with h5py.File(tmp_path / f"{name}_part.hdf5", "w") as file:
            file["episode/actions"] = np.zeros((3, 7))
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file.create_group("data").attrs["env_args"] = "{}"
            file[episode] = h5py.ExternalLink(f"{name}_part.hdf5", "/episode")
        with pytest.raises(BadInput, match=rf"{episode} is a link to {name}_part"):
            readers.read(tmp_path / f"{name}.hdf5", registry.task("pusht"))


def many_chunks(root):
    about = root / "data" / "action" / ".zarray"
    changes = {"shape": [10**8, 2], "chunks": [1, 2]}
    about.write_text(json.dumps(json.loads(about.read_text()) | changes))


def large_chunk(root):
    about = root / "data" / "action" / ".zarray"
    changes = {"shape": [10**9, 2], "chunks": [10**9, 2], "compressor": None}
    about.write_text(json.dumps(json.loads(about.read_text()) | changes))


def spaces(root):
    about = root / "data" / "action" / ".zarray"
    about.write_bytes(about.read_bytes() + b" " * (200 << 20))


def deep(root):
    (root / "data" / "action" / ".zarray").write_text("[" * 100_000)


def small_store(folder):
    return zipped(folder, folder.parent / "small.zip", compression=zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("change", [many_chunks, large_chunk, spaces, deep])
def test_zarr_that_claims_too_much_is_refused_at_once(folder, change):
    change(folder)
    for path in (folder, small_store(folder)):
        refused_cheaply(path)


def refused_cheaply(path, source=None, message=""):
    """Checks that a file is refused without much memory or time."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(BadInput, match=rf"{path.name}.*{message}"):
            readers.read(path, registry.task("pusht"), source)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20  # of Python and numpy
        assert time.monotonic() - started < 10
    finally:
        tracemalloc.stop()


def test_hdf5_that_claims_too_much_is_refused_at_once(folder, tmp_path):
    path = tmp_path / "ours.hdf5"
    hdf5.save(readers.read(folder, registry.task("pusht")), path)
    with h5py.File(path, "r+") as file:
        del file["data/demo_0/rewards"]
        file["data/demo_0"].create_dataset("rewards", (10**9,), "f4", chunks=True)
    refused_cheaply(path)
    many = tmp_path / "many.hdf5"
    with h5py.File(many, "w") as file:  # each alone would pass
        file.create_group("data").attrs["env_args"] = "{}"
        for k in range(100):
            name = f"data/demo_{k}/actions"
            file.create_dataset(name, (10**6, 7), "f4", chunks=True)
    refused_cheaply(many, "human")


def test_npz_that_claims_too_much_is_refused_at_once(saved):
    for head in (b"9" * 10, b"0" * 10):
        path = saved.with_name("large.npz")
        with (
            zipfile.ZipFile(saved) as old,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for name in old.namelist():
                content = old.read(name)
                if name == "action.npy" and head[0] == ord("9"):
                    shape = b"(10, 2), }        "
                    assert shape in content
                    content = content.replace(shape, b"(9999999999,2),}  ")
                elif name == "action.npy":
                    content += bytes(200 << 20)
                new.writestr(name, content)
        refused_cheaply(path, message="'action' claims")


@pytest.fixture
def saved(tmp_path):
    """The same two episodes as one file of numpy."""
    path = tmp_path / "replay.npz"
    np.savez_compressed(path, **arrays_of(), episode_ends=np.array([4, 10]))
    return path


def test_an_npz_file_reads_like_a_replay_buffer(saved, folder):
    task = registry.task("pusht")
    assert readers.read(saved, task).digest == readers.read(folder, task).digest


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_a_truncated_npz_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match="truncated or damaged"):
        readers.read(saved, registry.task("pusht"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"episode_ends": np.array([4, 9])}, "has 10 rows, and the last episode ends"),
        ({"episode_ends": np.array(10)}, "must list at least one row number"),
        ({"episode_ends": np.array([3.5, 10])}, "as whole numbers, got float64"),
        ({"action": np.array([{}] * 10)}, "damaged"),  # would have to be unpickled
    ],
)
def test_an_npz_file_with_arrays_that_do_not_fit_is_refused(tmp_path, changes, words):
    path = tmp_path / "replay.npz"
    np.savez(path, **(arrays_of() | {"episode_ends": np.array([4, 10])} | changes))
    with pytest.raises(BadInput, match=words):
        readers.read(path, registry.task("pusht"))


def test_a_missing_array_of_an_npz_file_is_named(tmp_path):
    path = tmp_path / "replay.npz"
    np.savez(path, action=np.zeros((3, 2)), episode_ends=np.array([3]))
    with pytest.raises(BadInput, match="no array 'state'; it must hold action, state"):
        readers.read(path, registry.task("pusht"))


def test_published_blockpush_demonstrations_score_high_where_they_succeeded(
    shared,
):
    path = shared / "data" / "blockpush" / "blockpush_regen_closedloop.npz"
    demos = readers.read(path, registry.task("blockpush"), "published")
    with np.load(path) as file:
        np.testing.assert_array_equal(demos.scores > 0.9, file["success"])
        np.testing.assert_array_equal(demos.states[:, :16], file["obs"])
