"""Checks of observations and actions against the spaces of an environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import gymnasium as gym
import numpy as np

from dp_bench.errors import BadInput
from dp_bench.policies.autoreset import Played

# Observations by key. An observation that is one array has the key WHOLE.
Observations: TypeAlias = dict[str, np.ndarray]
WHOLE = ""


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

    def check_obs(self, obs: Observations) -> None:
        """Refuses observations that the environment cannot have shown.

        Args:
            obs: Observations of all lanes, `(B, ...)` each, by key.

        Raises:
            BadInput: When one has another shape, or when an image is not uint8.
        """
        parts = {WHOLE: self.observation}
        if isinstance(self.observation, gym.spaces.Dict):
            parts |= self.observation.spaces
        for key, array in obs.items():
            space = parts.get(key)
            if not isinstance(space, gym.spaces.Box):
                continue
            if array.shape[1:] != space.shape:
                raise BadInput(
                    f"agent.act was given {named(key)} of shape {array.shape[1:]}, but "
                    f"the environment shows {space.shape}; pass what `step` returned"
                )
            if key and space.dtype == np.uint8 != array.dtype:
                raise BadInput(
                    f"agent.act was given {named(key)} of shape {array.shape[1:]} as "
                    f"{array.dtype}, but the environment shows uint8; pass what "
                    "`step` returned"
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


def named(key: str) -> str:
    """Names an observation in an error message, by its key if it has one."""
    return repr(key) if key else "an observation"


def observations_of(
    obs: object,
    single: bool,
    keys: Sequence[str] | None = None,
    space: gym.Space[object] | None = None,
    *,
    given: str = "agent.act was given",
) -> Observations:
    """Returns observations as arrays `(B, ...)` by key.

    Args:
        obs: One observation, or those of all lanes: one array for each key, or one
            dictionary for each lane.
        single: Whether it is one.
        keys: Keys of the dictionary that the policy observes; None for one array, which
            is returned under the key "".
        space: Space of one observation; None where it is not known.
        given: How an error begins.

    Raises:
        BadInput: When an observation is a dictionary where it should be one array or
            the other way round, lacks a key, is a tuple of several arrays, differs in
            shape between lanes, or holds no numbers.
    """
    if keys is None:
        fault = _several_arrays(obs, space)
        if fault:
            raise BadInput(
                f"{given} {fault}; a policy needs one array of numbers: make the "
                "environment with the observation that the policy was trained on"
            )
        return {WHOLE: _numbers(obs, single, WHOLE, given)}
    if isinstance(obs, Mapping):
        parts = _chosen(obs, keys, given)
    elif not single and isinstance(obs, (Sequence, np.ndarray)) and len(obs):
        lanes = [_chosen(lane, keys, given) for lane in obs]
        parts = {key: [lane[key] for lane in lanes] for key in keys}
        for key, values in parts.items():
            check_shapes(values, key, given)
    else:
        parts = _chosen(obs, keys, given)
    return {key: _numbers(part, single, key, given) for key, part in parts.items()}


def _chosen(obs: object, keys: Sequence[str], given: str) -> dict[str, Any]:
    """Takes the keys that a policy observes out of one dictionary."""
    rule = f"the policy observes a dictionary with {_listed(keys)}"
    if not isinstance(obs, Mapping):
        shape = getattr(obs, "shape", None)
        kind = f"an array of shape {shape}" if shape else _short(obs)
        raise BadInput(f"{given} {kind}; {rule}")
    for key in keys:
        if key not in obs:
            raise BadInput(
                f"{given} a dictionary with {_listed(obs)}, without {key!r}; {rule}"
            )
    return {key: obs[key] for key in keys}


def check_shapes(values: Sequence[Any], key: str, given: str) -> None:
    """Refuses observations of several lanes that differ in shape."""
    shapes = sorted({np.shape(value) for value in values})
    if len(shapes) > 1:
        what = repr(key) if key else "observations"
        raise BadInput(
            f"{given} {what} of different shapes: {' and '.join(map(str, shapes))}"
        )


def _numbers(obs: Any, single: bool, key: str, given: str) -> np.ndarray:
    """Returns the observations under one key as an array of numbers `(B, ...)`."""
    try:
        batch = np.asarray(obs)
    except ValueError:  # parts of different shapes
        batch = np.empty(0, object)
    if batch.dtype.kind not in "fiub" or (not single and not batch.ndim):
        where = f"{key!r}: " if key else ""
        rule = "an array of numbers under each key" if key else "one array of numbers"
        raise BadInput(f"{given} {where}{_short(obs)}; a policy needs {rule}")
    return batch[None] if single else batch


def _short(obs: object) -> str:
    """Shows the beginning of a value on one line."""
    return f"{' '.join(repr(obs).split()):.60}"


def _listed(keys: Iterable[object]) -> str:
    return ", ".join(map(repr, keys)) or "no keys"


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
            return f"a dictionary with {_listed(part)}{where}"
        if isinstance(space, gym.spaces.Tuple) and isinstance(part, tuple):
            return f"a tuple of {len(part)} parts{where}"
    return ""
