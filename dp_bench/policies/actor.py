"""What a rollout asks of a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from dp_bench.horizons import Horizons

# One array, or an array for each key of a dictionary.
Obs: TypeAlias = np.ndarray | Mapping[str, np.ndarray]


class Actor(Protocol):
    """Anything that can be asked for actions, whatever library computes them.

    An actor that observes a dictionary has one more attribute, `obs_keys`, the names of
    the keys that it observes. Without it, or where it is None, the actor observes one
    array.

    Attributes:
        horizons: How many observations `act` takes, and how many actions it returns.
    """

    horizons: Horizons

    def reset(self, env_seeds: Sequence[int]) -> None:
        """Begins one episode in each lane; lane i plays the start of `env_seeds[i]`."""

    def restart(self, lane: int, env_seed: int) -> None:
        """Begins a new episode in one lane and leaves the other lanes alone."""

    def act(self, obs: Any, lanes: Sequence[int] | None = None) -> np.ndarray:
        """Returns the next actions.

        Args:
            obs: The latest observations of each lane, oldest first, `(B, To, Do)`; for
                an actor with `obs_keys`, a dictionary with `(B, To, ...)` for each key.
            lanes: Which lanes the rows of `obs` belong to; None for all, in order.

        Returns:
            Actions, `(B, Ta, Da)`.
        """
        ...
