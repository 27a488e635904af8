"""The published demonstrations of BlockPush."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def published(shared):
    """Observations and actions of the published demonstrations, by env seed."""
    path = shared / "data/blockpush/blockpush_regen_closedloop.npz"
    if not path.exists():
        pytest.skip("needs the demonstrations of the published simulator")
    with np.load(path) as file:
        ends = file["episode_ends"][:-1]
        return [
            np.split(file[name].astype(np.float64), ends) for name in ("obs", "action")
        ]
