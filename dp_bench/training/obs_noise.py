"""The noise of a task's sensors, added in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dp_bench.policies.base import Policy
from dp_bench.task import ObsNoise


class AddObsNoise:
    """Adds the noise of sensors to windows of demonstrations, another in each batch.

    What was seen when demonstrations were recorded may have had little noise, and has
    it once. (The published data of Kitchen have noise added, once.) Absolute actions
    stay as they are; those that are counted from what is seen change with it, so that
    they lead to the same target as before, unless that asks for more than the largest
    action in the demonstrations.

    Args:
        obs_noise: Of the task.
        ratio: Times the noise of the tests.
        policy: Fitted; gives units, and which rows it looks at.
    """

    def __init__(self, obs_noise: ObsNoise, ratio: float, policy: Policy) -> None:
        to_obs, to_actions = policy.obs_normalizer.scale, policy.action_normalizer.scale
        place: dict[str, Any] = {"dtype": torch.float32, "device": to_obs.device}
        self._noise = ratio * torch.as_tensor(obs_noise.noise, **place)
        follows = torch.as_tensor(obs_noise.follows, **place)
        self._follows = (follows * to_actions[:, None]).T
        self._to_obs = to_obs
        self._seen = policy.rows_seen

    def __call__(
        self, obs: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Windows with noise in what is seen of them.

        Args:
            obs: Normalised, `(B, Tp, Do)`.
            actions: Normalised, `(B, Tp, Da)`.
            generator: On their device.

        Returns:
            New ones. Actions stay in [-1, 1], as large as those of demonstrations.
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
