"""The noise of a task's sensors, drawn anew in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp_bench.policy import Policy
from dp_bench.task import Sensors


class Noise:
    """Draws the noise of sensors anew for windows of a policy's demonstrations.

    Demonstrations were seen once, and often with better sensors than those of the
    tests. Published data of Kitchen have noise added, once; their actions are absolute
    and stay. So do ours; and those that are counted from what is seen change with it,
    so that they still lead where they led.

    Args:
        sensors: Of the task.
        ratio: Times the noise of the tests.
        policy: Fitted; gives units, and which rows it looks at.
    """

    def __init__(self, sensors: Sensors, ratio: float, policy: Policy) -> None:
        to_obs, to_actions = policy.obs_units.scale, policy.action_units.scale
        place: dict[str, Any] = {"dtype": torch.float32, "device": to_obs.device}
        self._noise = ratio * torch.as_tensor(sensors.noise, **place)
        follows = torch.as_tensor(sensors.follows, **place)
        self._follows = (follows * to_actions[:, None]).T
        self._to_obs = to_obs
        self._seen = policy.rows_seen

    def __call__(
        self, obs: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Windows as other noise would have left them.

        Args:
            obs: Normalised, `(B, Tp, Do)`.
            actions: Normalised, `(B, Tp, Da)`.
            generator: On their device.

        Returns:
            New ones. Actions stay in [-1, 1]: no faster than any in the demonstrations.
        """
        n = self._seen
        drawn = torch.rand(
            (len(obs), n, obs.shape[-1]), generator=generator, device=obs.device
        )
        off = self._noise * (2 * drawn - 1)
        seen = obs[:, :n] + off * self._to_obs
        done = (actions[:, :n] + off @ self._follows).clamp(-1.0, 1.0)
        return (
            torch.cat([seen, obs[:, n:]], dim=1),
            torch.cat([done, actions[:, n:]], dim=1),
        )
