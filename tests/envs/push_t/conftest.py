"""The human demonstrations of PushT."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def replay(shared):
    """Arrays of the human demonstrations, and where their episodes end."""
    zarr = pytest.importorskip("zarr", minversion="2.18", reason="reads the replay")
    path = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not path.exists() or int(zarr.__version__.split(".")[0]) > 2:
        pytest.skip("needs the replay file and zarr 2")
    with zarr.ZipStore(str(path), mode="r") as store:
        root = zarr.open_group(store, mode="r")
        names = ("action", "state", "keypoint")
        arrays = {name: root["data"][name][:] for name in names}
        arrays["frames"] = np.stack([root["data/img"][row] for row in (0, 1000, 9000)])
        return arrays, root["meta/episode_ends"][:]
