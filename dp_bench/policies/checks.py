"""Refusing observations and predictions of another shape than a policy needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.obs_spec import ObsSpec


def checked_array(obs: object, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns observations that are one array.

    Args:
        obs: What `act` was given.
        shape: (B, To, Do).

    Raises:
        BadInput: When they have another shape.
    """
    array = np.asarray(obs)
    if array.shape != shape:
        raise BadInput(f"observations must be (B, To, Do) = {shape}, got {array.shape}")
    return array


def joined_vectors(obs: object, lead: tuple[int, int], spec: ObsSpec) -> np.ndarray:
    """Returns the vectors `(B, To, Dv)` of observations that are a dictionary.

    Args:
        obs: What `act` was given.
        lead: (B, To).
        spec: The keys that there must be.

    Raises:
        BadInput: When a key is missing, or has another shape or type.
    """
    if not isinstance(obs, Mapping):
        raise BadInput(
            f"observations must be a dictionary with {', '.join(spec.keys)}, got "
            f"{type(obs).__name__}"
        )
    spec.check(obs, 2, "the observation")
    for key in spec.keys:
        if obs[key].shape[:2] != lead:
            raise BadInput(
                f"observations {key!r} must begin with (B, To) = {lead}, got "
                f"{obs[key].shape}"
            )
    return spec.joined(obs)


def check_prediction(
    actions: object,
    sizes: tuple[int, int],
    horizons: Horizons,
    *,
    by: str,
    may_end_early: bool,
) -> None:
    """Refuses a prediction whose steps, lanes or dimensions are other ones.

    Args:
        actions: What the policy predicted.
        sizes: (B, Da).
        horizons: To, Ta, Tp.
        by: Name of the method that predicted.
        may_end_early: Whether steps after the last executed one may be left out.

    Raises:
        BadInput: With the shape.
    """
    lanes, action_dim = sizes
    most = horizons.prediction
    least = horizons.executed.stop if may_end_early else most
    steps = f"{least}" if least == most else f"{least} to {most}"
    rule = (
        f"{by} must return a tensor of actions of shape (B, steps, Da) = "
        f"({lanes}, {steps}, {action_dim})"
    )
    if not isinstance(actions, Tensor):
        raise BadInput(f"{rule}, got {type(actions).__name__}")
    shape = tuple(actions.shape)
    if (
        len(shape) != 3
        or (shape[0], shape[2]) != sizes
        or not least <= shape[1] <= most
    ):
        raise BadInput(f"{rule}, got {shape}")
