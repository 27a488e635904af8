"""Images that lie apart from their demonstrations."""

import dataclasses

import h5py
import numpy as np
import pytest
import zarr

from dp_bench import registry
from dp_bench.data import frames, readers, store
from dp_bench.data.hdf5 import load, save
from dp_bench.data.images import LazyImages
from dp_bench.data.observed import observed
from dp_bench.errors import BadInput
from dp_bench.task import ObsColumns
from made_up import assert_same_demos, pusht_demos


def bare(**changes):
    """Demonstrations of three episodes, without images."""
    demos = pusht_demos(**changes)
    return dataclasses.replace(demos, obs={"state": demos.obs["state"]})


def images_of(demos, seed=0):
    """Random images of two cameras, by episode."""
    rng = np.random.default_rng(seed)
    return [
        {
            "wrist": rng.integers(0, 255, (length, 6, 4, 3), np.uint8),
            "image": rng.integers(0, 255, (length, 8, 8, 3), np.uint8),
        }
        for length in demos.lengths
    ]


def joined(images, key):
    return np.concatenate([episode[key] for episode in images])


@pytest.fixture
def demos():
    return bare()


@pytest.fixture
def file(demos, tmp_path):
    frames.save(tmp_path / "a.frames.hdf5", demos, images_of(demos))
    return tmp_path / "a.frames.hdf5"


def test_attached_images_are_those_that_were_saved(demos, file):
    seen = frames.attach(demos, file, ["image", "wrist"])
    frames.check(seen)
    for key in ("image", "wrist"):
        assert isinstance(seen.obs[key], LazyImages)
        expected = joined(images_of(demos), key)
        np.testing.assert_array_equal(seen.obs[key], expected)
        np.testing.assert_array_equal(seen.obs[key][[7, 0]], expected[[7, 0]])
    assert frames.about(file).keys == ("image", "wrist")


def test_attaching_reads_no_image(demos, file, monkeypatch):
    monkeypatch.setattr(
        "dp_bench.data.images._read_rows", lambda *_: pytest.fail("it was read")
    )
    frames.attach(demos, file, ["image"])
    frames.digest_of(file)


def test_demonstrations_are_the_same_with_and_without_images(demos, file, tmp_path):
    seen = frames.attach(demos, file, ["image"])
    assert seen.apart == {"image"}
    assert (seen.digest, seen.checksum()) == (demos.digest, demos.checksum())
    save(seen, tmp_path / "b.hdf5")
    assert_same_demos(load(tmp_path / "b.hdf5"), demos)
    assert_same_demos(seen.without_apart(), demos)


def test_a_selection_keeps_its_images_apart(demos, file):
    seen = frames.attach(demos, file, ["image"]).select([2, 0])
    assert seen.apart == {"image"}
    assert seen.digest == demos.select([2, 0]).digest
    images = [images_of(demos)[k] for k in (2, 0)]
    np.testing.assert_array_equal(seen.obs["image"], joined(images, "image"))
    frames.check(seen)


def test_images_apart_need_other_observations_and_have_no_last_one(demos, file):
    seen = frames.attach(demos, file, ["image"])
    with pytest.raises(BadInput, match="at least one kind of observation"):
        dataclasses.replace(seen, obs={"image": seen.obs["image"]})
    with pytest.raises(BadInput, match="apart names 'other'"):
        dataclasses.replace(seen, apart={"other"})
    last = {"state": np.zeros((3, 5), np.float32)}
    with_last = dataclasses.replace(demos, last_obs=last)
    assert frames.attach(with_last, file, ["image"]).last_obs.keys() == {"state"}


def test_the_digest_depends_on_every_image_and_on_the_demonstrations(demos, tmp_path):
    def digest(of, images):
        assert frames.save(tmp_path / "b.hdf5", of, images) == frames.digest_of(
            tmp_path / "b.hdf5"
        )
        return frames.digest_of(tmp_path / "b.hdf5")

    same = digest(demos, images_of(demos))
    assert digest(demos, iter(images_of(demos))) == same
    changed = images_of(demos)
    changed[2]["wrist"][3, 5, 3, 2] ^= 1
    assert digest(demos, changed) != same
    other = dataclasses.replace(demos, actions=demos.actions + 1)
    assert digest(other, images_of(demos)) != same


def test_images_that_do_not_fit_are_refused_and_leave_no_file(demos, tmp_path):
    good = images_of(demos)
    cases = {
        "2 episodes, and demonstrations of 3": good[:2],
        "more episodes than the 3 demonstrations": [*good, good[0]],
        r"'wrist' of episode 1 must be .*\(5, 6, 4, 3\)": [good[0], good[2], good[1]],
        "episode 1 must have images wrist, image, and has image": [
            good[0],
            {"image": good[1]["image"]},
            good[2],
        ],
        "must be uint8": [{"image": good[0]["image"] / 255.0}],
        "and has none": [{}],
    }
    for message, images in cases.items():
        with pytest.raises(BadInput, match=message):
            frames.save(tmp_path / "b.hdf5", demos, images)
        assert not list(tmp_path.iterdir())


def test_images_of_other_demonstrations_are_refused(demos, file):
    other = dataclasses.replace(demos, actions=demos.actions + 1)
    with pytest.raises(BadInput, match=r"other demonstrations .*demos render pusht"):
        frames.attach(other, file, ["image"])


def test_a_missing_file_or_key_is_refused_with_the_command_that_helps(demos, file):
    with pytest.raises(
        BadInput,
        match=r"no images under the key 'side'; its keys are image, wrist.*rend",
    ):
        frames.attach(demos, file, ["image", "side"])
    with pytest.raises(BadInput, match=r"not a file: .*demos render pusht"):
        frames.attach(demos, file.with_name("b.hdf5"), ["image"])
    save(demos, file.with_name("c.hdf5"))
    with pytest.raises(BadInput, match="no frames file of dp-bench"):
        frames.attach(demos, file.with_name("c.hdf5"), ["image"])


def altered_image(file):
    with h5py.File(file, "a") as opened:
        opened["data/demo_1/obs/image"][2, 0, 0, 0] ^= 1


def altered_sha256(file):
    with h5py.File(file, "a") as opened:
        opened["data/demo_1/obs/image"].attrs["sha256"] = "0" * 64


def renamed_episode(file):
    with h5py.File(file, "a") as opened:
        opened.move("data/demo_1", "data/demo_7")


def truncated(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwritten(file):
    content = bytearray(file.read_bytes())
    with h5py.File(file) as opened:
        where = opened["data/demo_1/obs/image"].id.get_chunk_info(2)
    middle = where.byte_offset + where.size // 2
    content[middle : middle + 20] = bytes(20)
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [altered_image, altered_sha256, renamed_episode, truncated, overwritten]
)
def test_damaged_images_are_refused_in_one_sentence(demos, file, damage):
    damage(file)
    with pytest.raises(BadInput) as caught:
        frames.check(frames.attach(demos, file, ["image"]))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_episodes_that_are_read_are_checked(demos, file):
    altered_image(file)
    seen = frames.attach(demos, file, ["image"])
    frames.check(seen, [0, 2])
    frames.check(seen.select([0, 2]))
    with pytest.raises(BadInput, match=r"images in .*demo_1/obs/image are not those"):
        frames.check(seen, [1])
    with pytest.raises(BadInput, match=r"images in .*demo_1/obs/image are not those"):
        np.asarray(seen.obs["image"])


def replay_buffer(folder, img, lengths=(3, 5)):
    """A replay buffer of PushT with images, in chunks that are no episodes."""
    rng, rows = np.random.default_rng(0), sum(lengths)
    group = zarr.open_group(str(folder), mode="w")
    data = group.create_group("data")
    arrays = {
        "action": rng.random((rows, 2), np.float32),
        "state": rng.random((rows, 5), np.float32) * 100,
        "keypoint": rng.random((rows, 9, 2), np.float32),
        "img": img,
    }
    for name, array in arrays.items():
        data.create_dataset(name, data=array, chunks=(3, *array.shape[1:]))
    group.create_group("meta").create_dataset("episode_ends", data=np.cumsum(lengths))
    return folder


def float_images(rows=8):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (rows, 96, 96, 3)).astype(np.float32)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    task = registry.task("pusht")
    source = dataclasses.replace(task.sources["human"], digest=None)
    changed = dataclasses.replace(task, sources={"human": source})
    tasks = registry.tasks() | {"pusht": changed}
    monkeypatch.setattr(registry, "tasks", lambda: tasks)
    return tmp_path / "data"


def test_an_import_writes_the_recorded_images_beside_the_demonstrations(home, tmp_path):
    img = float_images()
    path = replay_buffer(tmp_path / "a.zarr", img)
    store.obtain("pusht", from_path=path)
    names = {"pusht-human.hdf5", "pusht-human.frames.hdf5"}
    assert {file.name for file in home.iterdir()} == names
    seen = store.load_demos("pusht", images=["image"])
    np.testing.assert_array_equal(seen.obs["image"], img)
    assert store.load_demos("pusht").obs.keys() == {"state", "keypoints"}
    assert seen.digest == store.load_demos("pusht").digest
    assert seen.digest == readers.read(path, registry.task("pusht")).digest


def test_a_file_that_is_given_directly_brings_its_images_along(home, tmp_path):
    img = float_images()
    path = replay_buffer(tmp_path / "a.zarr", img)
    seen = store.load_demos("pusht", path=path, images=["image"])
    np.testing.assert_array_equal(seen.obs["image"], img)
    store.obtain("pusht", from_path=replay_buffer(tmp_path / "b.zarr", 255 - img))
    again = store.load_demos("pusht", path=path, images=["image"])
    np.testing.assert_array_equal(again.obs["image"], img)


def test_a_new_import_replaces_the_images_of_an_earlier_one(home, tmp_path):
    img = float_images()
    store.obtain("pusht", from_path=replay_buffer(tmp_path / "a.zarr", img))
    img = float_images(9)
    path = replay_buffer(tmp_path / "b.zarr", img, lengths=(4, 5))
    store.obtain("pusht", from_path=path)
    seen = store.load_demos("pusht", images=["image"])
    np.testing.assert_array_equal(seen.obs["image"], img)


def test_recorded_images_that_are_missing_are_named_with_their_command(home, tmp_path):
    store.obtain("pusht", from_path=replay_buffer(tmp_path / "a.zarr", float_images()))
    (home / "pusht-human.frames.hdf5").unlink()
    with pytest.raises(
        BadInput, match=r"get pusht --source human --from FILE.* render"
    ):
        store.load_demos("pusht", images=["image"])


@pytest.mark.parametrize(
    ("img", "message"),
    [
        (float_images() * np.nan, r"in \[0, 255\], got nan"),
        (float_images() + 1, r"in \[0, 255\], got .* to 256"),
        (float_images()[..., :2], "must hold images"),
        (float_images(7), "ends within episode 1"),
        (float_images(10), "rows after the last episode"),
    ],
)
def test_an_import_refuses_images_that_are_none(home, tmp_path, img, message):
    path = replay_buffer(tmp_path / "a.zarr", img)
    with pytest.raises(BadInput, match=message):
        store.obtain("pusht", from_path=path)
    assert not list(home.iterdir())


def test_demonstrations_that_hold_images_need_no_frames_file(home, tmp_path):
    save(dataclasses.replace(pusht_demos(), source="mine"), tmp_path / "a.hdf5")
    seen = store.load_demos("pusht", path=tmp_path / "a.hdf5", images=["image"])
    assert not seen.apart
    assert not home.exists()


def test_the_published_images_come_with_the_published_digest(
    shared, tmp_path, monkeypatch
):
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    path = shared / "data" / "pusht" / "pusht_cchi_v7_replay.zarr.zip"
    store.obtain("pusht", from_path=path)
    seen = store.load_demos("pusht", images=["image"])
    assert seen.digest == registry.task("pusht").sources["human"].digest
    assert seen.obs["image"].shape == (25_650, 96, 96, 3)
    group = zarr.open_group(zarr.storage.ZipStore(str(path), mode="r"), mode="r")
    rows = [0, 160, 161, 12_345, 25_649]
    expected = group["data/img"].get_orthogonal_selection(rows)
    np.testing.assert_array_equal(seen.obs["image"][rows], expected)


def test_observed_picks_keys_in_order_and_columns_of_other_observations(demos, file):
    task = dataclasses.replace(
        registry.task("pusht"),
        obs_keys={"image": ("image", "tail", "head", "state")},
        obs_columns={
            "tail": ObsColumns("state", -2, None),
            "head": ObsColumns("state", 0, 2),
        },
    )
    seen = frames.attach(demos, file, ["image"])
    arrays = observed(task, seen, "image")
    assert list(arrays) == ["image", "tail", "head", "state"]
    state = demos.obs["state"]
    np.testing.assert_array_equal(arrays["tail"], state[:, 3:])
    np.testing.assert_array_equal(arrays["head"], state[:, :2])
    assert arrays["image"] is seen.obs["image"]
    assert list(observed(task, seen, "state")) == ["state"]


def test_observed_names_the_key_that_is_missing_and_what_there_is(demos):
    task = registry.task("pusht")
    with pytest.raises(BadInput, match="hold no observations 'image'; they hold state"):
        observed(task, demos, "image")
    named = dataclasses.replace(task, obs_keys={"image": ("agent_pos",)})
    with pytest.raises(BadInput, match="'agent_pos', nor 'keypoints', which"):
        observed(named, demos, "image")
    beyond = {"agent_pos": ObsColumns("state", 18, 20)}
    with pytest.raises(BadInput, match=r"'agent_pos' must be columns 18 to 20 of"):
        observed(dataclasses.replace(named, obs_columns=beyond), demos, "image")
