"""Names for types that many signatures share."""

from __future__ import annotations

from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

# What Gymnasium's `reset` and `step` return beside observation and reward; also what
# `reset` takes as options. Its values are of any type by Gymnasium's own definition.
Info: TypeAlias = dict[str, Any]

# A JSON object. Whoever reads one checks its values (see util/settings.py).
JsonObject: TypeAlias = dict[str, Any]

# An environment with one array as its observation.
Env: TypeAlias = gym.Env[np.ndarray, np.ndarray]
