"""Names for types that many signatures share."""

from __future__ import annotations

from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

# The `info` of Gymnasium's `reset` and `step`, and the `options` of `reset`. Gymnasium
# itself allows values of any type.
Info: TypeAlias = dict[str, Any]

# A JSON object; readers check its values with `util.settings.from_json`.
JsonObject: TypeAlias = dict[str, Any]

# An environment; its observation is one array, or a dictionary of arrays.
Env: TypeAlias = gym.Env[Any, np.ndarray]
