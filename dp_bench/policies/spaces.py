"""Checks of observations and actions against the spaces of an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from dp_bench.errors import BadInput
from dp_bench.policies.autoreset import Played


class Spaces(NamedTuple):
    """The spaces of one lane; None where the environment declares none.

    Attributes:
        observation: Space of an observation.
        action: Space of an action.
    """

    observation: gym.Space[object] | None
    action: gym.Space[object] | None

    @classmethod
    def of(cls, env: Played) -> Spaces:
        """Reads the spaces of an environment.

        Raises:
            BadInput: When the lanes have different spaces.
        """
        if isinstance(env, gym.vector.VectorEnv):
            return cls(env.single_observation_space, env.single_action_space)
        lanes = [
            cls(
                getattr(one, "observation_space", None),
                getattr(one, "action_space", None),
            )
            for one in (env if isinstance(env, Sequence) else [env])
        ]
        for lane, spaces in enumerate(lanes):
            if spaces != lanes[0]:
                raise BadInput(
                    f"lane {lane} has the spaces {spaces}, and lane 0 has {lanes[0]}; "
                    "an agent plays environments with the same spaces"
                )
        return lanes[0]

    def check_obs(self, obs: np.ndarray) -> None:
        """Refuses observations `(B, ...)` of another shape than the environment's."""
        space = self.observation
        if isinstance(space, gym.spaces.Box) and obs.shape[1:] != space.shape:
            raise BadInput(
                f"agent.act was given an observation of shape {obs.shape[1:]}, but "
                f"the environment shows {space.shape}; pass what `step` returned"
            )

    def check_actions(self, actions: np.ndarray, actor: str) -> None:
        """Refuses actions `(B, Ta, Da)` that cannot be meant for the environment.

        A trained policy may leave the action space a little, and environments clip
        such actions. An action that is outside by more than the width of the space
        means something else, a velocity where a position belongs say.

        Args:
            actions: Actions of an actor.
            actor: Name of the actor.

        Raises:
            BadInput: With the action and the space.
        """
        space = self.action
        if not isinstance(space, gym.spaces.Box):
            return
        if actions.shape[2:] != space.shape:
            raise BadInput(
                f"{actor}.act returned actions of shape {actions.shape[2:]}, but the "
                f"environment takes {space.shape}"
            )
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        bounded = np.isfinite(low) & np.isfinite(high)
        width = np.where(bounded, high - low, np.inf)
        outside = (actions < low - width) | (actions > high + width)  # (B, Ta, Da)
        if outside.any():
            lane, step, _ = np.argwhere(outside)[0]
            raise BadInput(
                f"{actor}.act returned the action {actions[lane, step].tolist()}, far "
                f"outside the environment's action space, {space}; check that the "
                "actions and the environment's control mode mean the same"
            )


def observations_of(
    obs: object,
    single: bool,
    space: gym.Space[object] | None = None,
    *,
    given: str = "agent.act was given",
) -> np.ndarray:
    """Returns observations as one array `(B, ...)`.

    Args:
        obs: One observation, or those of all lanes.
        single: Whether it is one.
        space: Space of one observation; None where it is not known.
        given: How an error begins.

    Raises:
        BadInput: When an observation is a dictionary, a tuple of several arrays, or no
            array of numbers.
    """
    fault = _several_arrays(obs, space)
    if fault:
        raise BadInput(
            f"{given} {fault}; a policy needs one array of numbers: make the "
            "environment with the observation that the policy was trained on"
        )
    try:
        batch = np.asarray(obs)
    except ValueError:  # parts of different shapes
        batch = np.empty(0, object)
    if batch.dtype.kind not in "fiub" or (not single and not batch.ndim):
        shown = " ".join(repr(obs).split())
        raise BadInput(f"{given} {shown:.60}; a policy needs one array of numbers")
    return batch[None] if single else batch


def _several_arrays(obs: object, space: gym.Space[object] | None) -> str:
    """Describes several arrays where there should be one; "" where there is one."""
    lanes: list[object] = []
    if isinstance(obs, np.ndarray) and obs.dtype.kind == "O":
        lanes = obs.ravel().tolist()
    elif isinstance(obs, (list, tuple)):
        lanes = list(obs)
    for part in [obs, *lanes]:
        where = "" if part is obs else " in a lane"
        if isinstance(part, Mapping):
            keys = ", ".join(map(repr, part)) or "no keys"
            return f"a dictionary with {keys}{where}"
        if isinstance(space, gym.spaces.Tuple) and isinstance(part, tuple):
            return f"a tuple of {len(part)} parts{where}"
    return ""
