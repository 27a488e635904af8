"""Human demonstrations of PushT: their published file, and their displacements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dp_bench.data.demos import Demos
from dp_bench.errors import BadInput

from .drawing import IMAGE_SIZE
from .geometry import Pose, coverage, reward


def demos_from_replay(
    arrays: Mapping[str, np.ndarray], episode_ends: np.ndarray
) -> Demos:
    """Converts the published human demonstrations.

    Args:
        arrays: `action (N, 2)`, `state (N, 5)`, `keypoint (N, 9, 2)`, and, for images,
            `img (N, 96, 96, 3)` in [0, 255].
        episode_ends: One past the last row of each episode, `(E,)`.

    Returns:
        Demonstrations whose reward in row i is that of the recorded state i + 1, to
        which the action led. The last row of an episode has the reward of its own
        state.

    Raises:
        BadInput: When an array is missing or has another shape.
    """
    num_rows = int(episode_ends[-1])
    _check_arrays(arrays, num_rows)
    states = np.asarray(arrays["state"], np.float64)
    points = np.asarray(arrays["keypoint"], np.float32).reshape(num_rows, 18)
    finger = states[:, :2].astype(np.float32)
    obs = {
        "state": states.astype(np.float32),
        "keypoints": np.concatenate([points, finger], axis=1),
    }
    if "img" in arrays:
        obs["image"] = np.asarray(arrays["img"]).astype(np.uint8)
    reached = np.array([reward(coverage(Pose(*row))) for row in states[:, 2:].tolist()])
    following = np.minimum(
        np.arange(num_rows) + 1,
        np.repeat(episode_ends, np.diff(episode_ends, prepend=0)) - 1,
    )
    starts = np.concatenate([[0], episode_ends[:-1]])
    return Demos(
        task="pusht",
        source="human",
        obs=obs,
        actions=np.asarray(arrays["action"], np.float32),
        states=states,
        rewards=reached[following].astype(np.float32),
        scores=np.maximum.reduceat(reached, starts),
        episode_ends=np.asarray(episode_ends, np.int64),
        env_kwargs={"obs": "keypoints", "legacy": False},
    )


def _check_arrays(arrays: Mapping[str, np.ndarray], num_rows: int) -> None:
    """Refuses a replay file in which an array is missing or has another shape."""
    shapes = {"action": (2,), "state": (5,), "keypoint": (9, 2)}
    if "img" in arrays:
        shapes["img"] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    for name, shape in shapes.items():
        if name not in arrays:
            raise BadInput(
                f"PushT demonstrations hold no array {name!r}; "
                f"they must hold {', '.join(shapes)}"
            )
        if arrays[name].shape != (num_rows, *shape):
            raise BadInput(
                f"array {name!r} of PushT demonstrations has shape "
                f"{arrays[name].shape}, and must have {(num_rows, *shape)}"
            )


def displacements(demos: Demos) -> np.ndarray:
    """Converts the actions to velocity control: target minus finger [px].

    Returns:
        `(N, 2)`, float64, so that the same targets come out again.
    """
    return demos.actions - demos.states[:, :2]
