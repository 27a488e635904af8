"""Observation noise of a task, added to the demonstrations in training."""

from __future__ import annotations

import torch
from torch import Tensor

from dp_bench.policies.base import Policy
from dp_bench.task import ObsNoise


class AddObsNoise:
    """Adds a task's observation noise to windows, drawn anew for each batch.

    Demonstrations were recorded with little noise, or with noise that was drawn only
    once. (The published data of Kitchen have noise that was added once.) Absolute
    actions stay the same. Actions relative to the observation change with it, so that
    they still lead to the same target, unless that needs a larger action than any in
    the demonstrations.

    Args:
        obs_noise: The task's noise, and how actions follow the observation.
        ratio: Multiple of the noise in evaluation.
        policy: A fitted policy; its normalisers and `rows_seen` are used.
    """

    def __init__(self, obs_noise: ObsNoise, ratio: float, policy: Policy) -> None:
        to_obs, to_actions = policy.obs_normalizer.scale, policy.action_normalizer.scale

        def on_device(array: object) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=to_obs.device)

        self._noise = ratio * on_device(obs_noise.noise) * (to_obs != 0)
        self._follows = (on_device(obs_noise.follows) * to_actions[:, None]).T
        self._to_obs = to_obs
        self._rows_seen = policy.rows_seen

    def __call__(
        self, obs: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Returns copies of the windows with noise in the rows that the loss observes.

        Args:
            obs: Normalised, `(B, Tp, Do)`.
            actions: Normalised, `(B, Tp, Da)`.
            generator: On the device of the data.

        Returns:
            Observations and actions; actions stay in [-1, 1], the range of the
            demonstrations.
        """
        n = self._rows_seen
        uniform = torch.rand(
            (len(obs), n, obs.shape[-1]), generator=generator, device=obs.device
        )
        noise = self._noise * (2 * uniform - 1)
        noisy_obs = obs[:, :n] + noise * self._to_obs
        noisy_actions = (actions[:, :n] + noise @ self._follows).clamp(-1.0, 1.0)
        return (
            torch.cat([noisy_obs, obs[:, n:]], dim=1),
            torch.cat([noisy_actions, actions[:, n:]], dim=1),
        )
