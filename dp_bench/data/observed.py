"""The arrays of one kind of observation, as demonstrations hold them."""

from __future__ import annotations

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.data.images import LazyImages
from dp_bench.errors import BadInput
from dp_bench.task import Task


def keys_of(task: Task, obs_kind: str) -> tuple[str, ...]:
    """Returns the keys of a kind of observation; its own name if it is one array."""
    return tuple(task.obs_keys.get(obs_kind, (obs_kind,)))


def lacking(task: Task, demos: Demos, obs_kind: str) -> tuple[str, ...]:
    """Returns the keys of a kind of observation that demonstrations do not hold.

    These are images, if any of them can be had: `load_demos(images=...)`.
    """
    return tuple(
        key
        for key in keys_of(task, obs_kind)
        if key not in demos.obs and key not in task.obs_columns
    )


def observed(
    task: Task, demos: Demos, obs_kind: str
) -> dict[str, np.ndarray | LazyImages]:
    """Picks the arrays of a kind of observation, in the order of its keys.

    Args:
        task: Says which keys there are, and which are columns of another observation.
        demos: Demonstrations of the task.
        obs_kind: Kind of observation.

    Returns:
        Images `(N, height, width, 3)` and vectors `(N, D)` by key.

    Raises:
        BadInput: When the demonstrations do not hold a key.
    """
    return {key: _array(task, demos, key) for key in keys_of(task, obs_kind)}


def _array(task: Task, demos: Demos, key: str) -> np.ndarray | LazyImages:
    if key in demos.obs:
        return demos.obs[key]
    columns = task.obs_columns.get(key)
    if columns is None or columns.kind not in demos.obs:
        place = f", nor {columns.kind!r}, which contains it" if columns else ""
        raise BadInput(
            f"demonstrations {demos.task}/{demos.source} hold no observations "
            f"{key!r}{place}; they hold {', '.join(demos.obs)}"
        )
    whole = demos.obs[columns.kind]
    if not isinstance(whole, LazyImages) and whole.ndim == 2:
        part = whole[:, columns.start : columns.stop]
        if part.shape[1]:
            return part
    raise BadInput(
        f"observations {key!r} must be columns {columns.start} to "
        f"{columns.stop or 'the last'} of {columns.kind!r}, which has shape "
        f"{whole.shape}"
    )
