"""Images that stay in their file."""

import dataclasses
import pickle
import tracemalloc

import h5py
import numpy as np
import pytest

from dp_bench.data import images
from dp_bench.data.hdf5 import load, save
from dp_bench.data.images import LazyImages, lazy_images
from dp_bench.errors import BadInput
from made_up import assert_same_demos, pusht_demos


def test_lazy_images_index_like_an_array_in_memory(tmp_path):
    demos = pusht_demos()
    save(demos, tmp_path / "a.hdf5")
    loaded = load(tmp_path / "a.hdf5")
    seen, kept = demos.obs["image"], loaded.obs["image"]
    assert isinstance(kept, LazyImages)
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
    assert isinstance(some.obs["image"], LazyImages)
    assert_same_demos(some, demos.select([2, 0]))
    assert some.digest == demos.select([2, 0]).digest
    save(some, tmp_path / "b.hdf5")
    assert_same_demos(load(tmp_path / "b.hdf5"), demos.select([2, 0]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept))[[2]], seen[[2]])


def test_images_of_a_changed_or_missing_file_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    monkeypatch.chdir(tmp_path)
    loaded = load("a.hdf5")
    monkeypatch.chdir("/")
    kept = loaded.obs["image"]
    assert len(kept[[0]]) == 1
    save(loaded.select([2, 0]), path)  # on itself: from what it was before
    assert_same_demos(load(path), pusht_demos().select([2, 0]))
    for use in (lambda: kept[[0]], lambda: save(loaded, tmp_path / "b.hdf5")):
        with pytest.raises(BadInput, match=r"a\.hdf5, which was changed meanwhile"):
            use()
    path.unlink()
    with pytest.raises(BadInput, match=r"a\.hdf5, which is no longer there"):
        kept[[0]]
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_damaged_images_names_their_file_in_one_line(tmp_path):
    path = tmp_path / "a.hdf5"
    save(pusht_demos(), path)
    with h5py.File(path) as file:
        where = file["data/demo_1/obs/image"].id.get_chunk_info(0)
        groups = [file[f"data/demo_{k}"] for k in range(3)]
        kept = lazy_images(path, groups, "obs/image")
    content = bytearray(path.read_bytes())
    middle = where.byte_offset + where.size // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    kept = dataclasses.replace(kept, stamp=images._stamp(path))
    assert len(kept[[0]]) == 1
    with pytest.raises(BadInput, match=r"a\.hdf5, which is damaged \(Can't") as caught:
        kept[[4]]
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=r"a\.hdf5 cannot be used, the images"):
        load(path)


def test_images_are_copied_one_episode_at_a_time(tmp_path):
    shape = (200, 160, 160, 3)  # 15 MB an episode
    path, lengths = tmp_path / "large.hdf5", (200,) * 8
    image = np.zeros(shape[1:], np.uint8)
    image[::16] = np.random.default_rng(0).integers(0, 256, image[::16].shape)
    with h5py.File(path, "w") as file:
        for k in range(8):
            file[f"data/demo_{k}/obs/image"] = np.tile(image + k, (200, 1, 1, 1))
    with h5py.File(path) as file:
        groups = [file[f"data/demo_{k}"] for k in range(8)]
        large = lazy_images(path, groups, "obs/image")
    demos = pusht_demos(lengths)
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
