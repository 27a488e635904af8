"""The in-memory form of demonstrations, its file and its split."""

import dataclasses
import pickle
import resource
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest

from dp_bench.data import images as pictures
from dp_bench.data.demos import Demos, load, save, split
from dp_bench.data.images import Pictures, of_file
from dp_bench.errors import BadInput


def some_demos(lengths=(3, 5, 4), **changes):
    rng = np.random.default_rng(0)
    num_rows = sum(lengths)
    arrays = {
        "obs": {
            "state": rng.random((num_rows, 5), np.float32),
            "image": rng.integers(0, 255, (num_rows, 8, 8, 3), np.uint8),
        },
        "actions": rng.random((num_rows, 2), np.float32),
        "states": rng.random((num_rows, 5)),
        "rewards": rng.random(num_rows, np.float32),
        "scores": rng.random(len(lengths)),
        "episode_ends": np.cumsum(lengths),
        "env_kwargs": {"obs": "state", "legacy": False},
        "notes": {"env_seed": np.arange(len(lengths)) + 7},
    }
    return Demos(task="pusht", source="human", **(arrays | changes))


def assert_same(one, other):
    assert (one.task, one.source) == (other.task, other.source)
    assert one.env_kwargs == other.env_kwargs
    assert one.obs.keys() == other.obs.keys()
    names = ("actions", "states", "rewards", "scores", "episode_ends")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    pairs += [(one.obs[kind], other.obs[kind]) for kind in one.obs]
    assert one.notes.keys() == other.notes.keys()
    pairs += [(one.notes[name], other.notes[name]) for name in one.notes]
    for left, right in pairs:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["actions", "states", "rewards", "obs/state"])
def test_a_number_that_is_not_finite_is_named_by_episode_and_step(name, bad):
    demos = some_demos(lengths=(3, 5))
    obs, _, kind = name.partition("/")
    array = (demos.obs[kind] if kind else getattr(demos, name)).copy()
    array[3 + 2] = bad
    changed = {**demos.obs, kind: array} if kind else array
    with pytest.raises(BadInput, match=f"{name} must be finite.*episode 1 at step 2"):
        dataclasses.replace(demos, **{obs: changed})


@pytest.mark.parametrize(
    "changes",
    [
        {"episode_ends": [3, 8, 11]},  # a row after the last episode
        {"episode_ends": [3, 3, 12]},  # an empty episode
        {"episode_ends": [0, 3, 12]},
        {"episode_ends": [8, 3, 12]},
        {"episode_ends": [], "scores": []},
        {"scores": [0.5, 0.5]},
        {"scores": [0.5, 0.5, 1.1]},
        {"scores": [0.5, 0.5, np.nan]},
        {"rewards": np.zeros(11)},
        {"obs": {}},
        {"obs": {"state": np.zeros((11, 5))}},
        {"obs": {"state": np.array(["a"] * 12)}},
        {"actions": np.full((12, 2), 1e300)},  # infinite as float32
        {"notes": {"env_seed": np.arange(4)}},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes):
    arrays = {
        k: v if k in ("obs", "notes") else np.array(v) for k, v in changes.items()
    }
    with pytest.raises(BadInput):
        some_demos(**arrays)


def test_the_digest_changes_with_all_that_was_recorded_and_nothing_else():
    demos = some_demos()
    swapped = dict(reversed(demos.obs.items()))
    big_endian = demos.states.astype(">f8")
    columns = np.asfortranarray(demos.actions)
    same = dataclasses.replace(
        demos,
        obs=swapped,
        states=big_endian,
        actions=columns,
        scores=np.zeros(3),
        notes={},
    )
    assert same.digest == demos.digest
    others = [
        dataclasses.replace(demos, task="other"),
        dataclasses.replace(demos, actions=demos.actions + 1),
        dataclasses.replace(demos, states=demos.states + 1),
        dataclasses.replace(demos, episode_ends=np.array([4, 8, 12])),
        dataclasses.replace(demos, obs={**demos.obs, "state": demos.obs["state"] + 1}),
        dataclasses.replace(demos, obs={"state": demos.obs["state"]}),
    ]
    assert len({d.digest for d in [demos, *others]}) == 7


def test_selected_episodes_are_those_episodes():
    demos = some_demos()
    chosen = demos.select([2, 0])
    assert chosen.lengths.tolist() == [4, 3]
    rows = [8, 9, 10, 11, 0, 1, 2]
    np.testing.assert_array_equal(chosen.actions, demos.actions[rows])
    np.testing.assert_array_equal(chosen.obs["image"], demos.obs["image"][rows])
    np.testing.assert_array_equal(chosen.scores, demos.scores[[2, 0]])
    assert chosen.notes["env_seed"].tolist() == [9, 7]
    assert_same(demos.select(range(3)), demos)
    for absent in (3, -1):
        with pytest.raises(BadInput, match=r"0\.\.2"):
            demos.select([absent])


def test_pictures_of_a_file_are_an_array_of_which_only_the_wanted_is_read(tmp_path):
    demos = some_demos()
    save(demos, tmp_path / "a.hdf5")
    loaded = load(tmp_path / "a.hdf5")
    seen, kept = demos.obs["image"], loaded.obs["image"]
    assert isinstance(kept, Pictures)
    assert (kept.shape, kept.dtype, kept.ndim, len(kept)) == (
        seen.shape,
        seen.dtype,
        seen.ndim,
        len(seen),
    )
    for rows in ([5, 0, 5, 11, 3], [-1], [], slice(2, 9), slice(None, None, -3), [4]):
        np.testing.assert_array_equal(kept[rows], seen[rows])
    np.testing.assert_array_equal(list(kept), seen)
    for rows in ([12], [-13], [True, False], [1.0], [[1]]):
        with pytest.raises(IndexError, match="below 12"):
            kept[rows]
    some = loaded.select([2, 0])
    assert isinstance(some.obs["image"], Pictures)
    assert_same(some, demos.select([2, 0]))
    assert some.digest == demos.select([2, 0]).digest
    save(some, tmp_path / "b.hdf5")
    assert_same(load(tmp_path / "b.hdf5"), demos.select([2, 0]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept))[[2]], seen[[2]])


def test_pictures_of_a_file_that_is_another_one_now_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    save(some_demos(), path)
    monkeypatch.chdir(tmp_path)
    loaded = load("a.hdf5")
    monkeypatch.chdir("/")
    kept = loaded.obs["image"]
    assert len(kept[[0]]) == 1
    save(loaded.select([2, 0]), path)  # on itself: from what it was before
    assert_same(load(path), some_demos().select([2, 0]))
    for use in (lambda: kept[[0]], lambda: save(loaded, tmp_path / "b.hdf5")):
        with pytest.raises(BadInput, match=r"a\.hdf5, which was changed meanwhile"):
            use()
    path.unlink()
    with pytest.raises(BadInput, match=r"a\.hdf5, which is no longer there"):
        kept[[0]]
    assert list(tmp_path.iterdir()) == []


def test_damaged_pictures_are_one_sentence_that_names_their_file(tmp_path):
    path = tmp_path / "a.hdf5"
    save(some_demos(), path)
    with h5py.File(path) as file:
        where = file["data/demo_1/obs/image"].id.get_chunk_info(0)
        groups = [file[f"data/demo_{k}"] for k in range(3)]
        kept = of_file(path, groups, "obs/image")
    whole = bytearray(path.read_bytes())
    middle = where.byte_offset + where.size // 2
    whole[middle : middle + 40] = bytes(40)
    path.write_bytes(whole)
    kept = dataclasses.replace(kept, stamp=pictures._stamp(path))
    assert len(kept[[0]]) == 1
    with pytest.raises(BadInput, match=r"a\.hdf5, which is damaged \(Can't") as caught:
        kept[[4]]
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=r"a\.hdf5 cannot be used, the pictures"):
        load(path)


def test_pictures_are_copied_a_few_at_a_time(tmp_path):
    shape = (200, 160, 160, 3)  # 15 MB an episode
    path, lengths = tmp_path / "large.hdf5", (200,) * 8
    with h5py.File(path, "w") as file:
        for k in range(8):
            file[f"data/demo_{k}/obs/image"] = np.full(shape, k, np.uint8)
    with h5py.File(path) as file:
        groups = [file[f"data/demo_{k}"] for k in range(8)]
        large = of_file(path, groups, "obs/image")
    demos = some_demos(lengths)
    demos = dataclasses.replace(demos, obs={**demos.obs, "image": large})
    tracemalloc.start()
    try:
        save(demos, tmp_path / "own.hdf5")
        again = load(tmp_path / "own.hdf5")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert again.digest == demos.digest
    assert most < 8 * np.prod(shape) / 2


def test_a_saved_file_loads_as_what_was_saved(tmp_path):
    demos = some_demos(lengths=range(1, 13))  # demo_2 comes before demo_10
    save(demos, tmp_path / "folder" / "a.hdf5")
    loaded = load(tmp_path / "folder" / "a.hdf5")
    assert_same(loaded, demos)
    assert loaded.digest == demos.digest


def test_a_saved_file_has_the_layout_of_robomimic(tmp_path):
    demos = some_demos()
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


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9, 0.999])
def test_a_damaged_file_is_refused_wherever_it_ends(tmp_path, share):
    path = tmp_path / "a.hdf5"
    save(some_demos(), path)
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
    save(some_demos(), path)
    with h5py.File(path, "r+") as file:
        harm(file["data"])
    with pytest.raises(BadInput, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "dp-bench demos" in str(caught.value)


def test_what_is_no_file_of_ours_is_refused(tmp_path):
    (tmp_path / "text").write_text("no HDF5")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "text"):
        with pytest.raises(BadInput, match=path.name):
            load(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, share):
    path = tmp_path / "a.hdf5"
    save(some_demos(), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(len(before) * share), limits[1]))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*a\.hdf5: "):
            save(some_demos(scores=np.zeros(3)), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["a.hdf5"]
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write"):
        save(some_demos(), tmp_path / "file" / "a.hdf5")


def test_a_copied_file_is_as_good(tmp_path):
    save(some_demos(), tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "a.hdf5", tmp_path / "b.bin")
    assert_same(load(tmp_path / "b.bin"), some_demos())


@pytest.mark.parametrize("num_episodes", [1, 2, 3, 50, 206])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_split_is_by_episode_and_disjoint(num_episodes, share):
    demos = some_demos(lengths=[1] * num_episodes)
    made = split(demos, np.random.default_rng(0), validation_share=share)
    both = np.concatenate([made.train, made.validation])
    assert sorted(both) == list(range(num_episodes))
    assert len(made.train) >= 1
    assert (len(made.validation) > 0) == (share > 0 and num_episodes > 1)


def test_the_published_share_holds_back_four_of_206():
    demos = some_demos(lengths=[1] * 206)
    made = split(
        demos, np.random.default_rng(0), validation_share=0.02, train_episodes=90
    )
    assert len(made.validation) == 4
    rest = np.setdiff1d(np.arange(206), made.validation)
    np.testing.assert_array_equal(made.train, rest[:90])


def test_the_same_generator_gives_the_same_split():
    demos = some_demos(lengths=[1] * 50)
    digests = [
        split(demos, np.random.default_rng(seed), validation_share=0.1).digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("share", "train_episodes"), [(-0.1, None), (1.0, None), (np.nan, None), (0.1, 0)]
)
def test_an_impossible_split_is_refused(share, train_episodes):
    with pytest.raises(BadInput, match="must be"):
        split(
            some_demos(),
            np.random.default_rng(0),
            validation_share=share,
            train_episodes=train_episodes,
        )
