"""What happens to observations before a network sees them: settings and units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.util.rounding import FAR_FROM_ZERO, needs_float64


@dataclass(frozen=True)
class ObsConfig:
    """Settings for observations that every method shares.

    Attributes:
        obs_scale: Observations are normalised to [-obs_scale, obs_scale]; 1 as
            published. Where a task needs millimetres on a table of half a metre, a
            larger scale separates neighbouring observations, and a small network
            learns much faster.
        obs_noise: Standard deviation of the noise added to observations in training,
            for observations normalised to [-1, 1]. It keeps a network from memorising
            few demonstrations; 0 as published. Images have none, only the vectors
            beside them.
        obs_min_range: A dimension whose range in the demonstrations is smaller, in
            units of the environment, is shifted and not scaled. Otherwise the noise of
            a sensor on a joint that never moves would be scaled to [-1, 1].
        older_obs_noise: Standard deviation of further noise in training, like
            `obs_noise`, on all observations that the loss sees but the latest; 0 as
            published. This and the next two settings are meant to reduce copying.
        obs_dropout: Share of the windows of a batch in which training replaces all
            observations but the latest with zeros, the middle of the range; 0 as
            published. With images it replaces features.
        hidden_obs: Numbers of an observation that the policy never sees, by index
            from 0; of an observation with images, numbers of its joined vectors.
    """

    # The weights are good for one value of these, so an evaluation cannot change them.
    FIXED: ClassVar[tuple[str, ...]] = (
        "obs_scale", "obs_noise", "obs_min_range", "older_obs_noise", "obs_dropout",
        "hidden_obs",
    )  # fmt: skip

    obs_scale: float = 1.0
    obs_noise: float = 0.0
    obs_min_range: float = 1e-4
    older_obs_noise: float = 0.0
    obs_dropout: float = 0.0
    hidden_obs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.obs_min_range < math.inf:
            raise BadInput(
                f"obs_min_range must be 0 or above, got {self.obs_min_range}"
            )
        if not 0 < self.obs_scale < math.inf:
            raise BadInput(f"obs_scale must be above 0, got {self.obs_scale}")
        for name in ("obs_noise", "older_obs_noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadInput(f"{name} must be 0 or above, got {getattr(self, name)}")
        if not 0 <= self.obs_dropout < 1:
            raise BadInput(f"obs_dropout must be in [0, 1), got {self.obs_dropout}")
        if any(index < 0 for index in self.hidden_obs):
            raise BadInput(
                f"hidden_obs must hold indices of 0 or more, got {self.hidden_obs}"
            )

    @property
    def disturbs_older(self) -> bool:
        """Whether training disturbs older observations more than the latest one."""
        return self.older_obs_noise > 0 or self.obs_dropout > 0

    def refuse_without_older(self, seen: int) -> None:
        """Refuses settings for older observations where a loss sees only the latest.

        Args:
            seen: Number of observations of a window that the loss sees.

        Raises:
            BadInput: If such a setting is not 0.
        """
        for name in ("older_obs_noise", "obs_dropout"):
            if getattr(self, name) and seen == 1:
                raise BadInput(
                    f"{name} is {getattr(self, name)}, but a policy that sees one "
                    f"observation has no older one; set it to 0, or raise "
                    f"horizons.obs (horizons.prediction of LSTM-GMM)"
                )

    def refuse_to_hide_from(self, numbers: int) -> None:
        """Refuses indices in `hidden_obs` beyond an observation of so many numbers."""
        if any(index >= numbers for index in self.hidden_obs):
            raise BadInput(
                f"hidden_obs is {self.hidden_obs}, but an observation has indices 0 to "
                f"{numbers - 1}"
            )


class Observation(NamedTuple):
    """An observation with images, as an encoder takes it.

    Attributes:
        images: Images by key, uint8, each `(B, T, height, width, 3)`.
        vectors: All vectors joined and normalised, `(B, T, Dv)`.
    """

    images: dict[str, Tensor]
    vectors: Tensor


ROUNDING = 8  # a range of so many rounding errors of the largest value is none


def as_rows(rows: np.ndarray) -> Tensor:
    """Copies rows `(N, D)` to a tensor, in float64 only if a dimension needs it."""
    dtype = torch.float64 if needs_float64(rows) else torch.float32
    return torch.as_tensor(rows, dtype=dtype)


class Normalizer(nn.Module):
    """Scales each dimension of the training data to [-1, 1].

    A dimension that never changes in the data is only shifted to 0: dividing by its
    range would turn rounding error into signal. A dimension that changes little and
    lies far from 0 (a time stamp, say) is first centred in float64. `state_dict` holds
    the centres only if there is such a dimension.

    Args:
        dim: Number of dimensions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Its memory is touched only after a loader could refuse its size.
        self.register_buffer("scale", torch.empty(dim))
        self.scale: Tensor
        self.scale.fill_(1)
        self.register_buffer("offset", torch.zeros(dim))
        centre = torch.zeros(dim, dtype=torch.float64)
        self.register_buffer("centre", centre, persistent=False)
        self.offset: Tensor
        self.centre: Tensor
        self.constant = torch.zeros(dim, dtype=torch.bool)  # known after `fit`
        self._is_centred = False

    def fit(self, data: Tensor, min_range: float = 1e-4, reach: float = 1.0) -> None:
        """Measures the range of every dimension.

        Args:
            data: All rows of the training data, `(N, D)`, float32 or float64.
            min_range: A dimension with a smaller range counts as constant. So does one
                whose range is within rounding errors.
            reach: Scales to [-reach, reach] instead of [-1, 1].
        """
        low, high = data.amin(0), data.amax(0)
        far, constant = self._far_and_constant(low, high, min_range)
        # Rounding keeps the order of numbers: these are the extremes of rounded data.
        rounded_low, rounded_high = (x.float().double() for x in (low, high))
        low = torch.where(far, low.double(), rounded_low)
        high = torch.where(far, high.double(), rounded_high)
        size = torch.where(constant, 1.0, high - low)
        scale = torch.where(constant, 1.0, 2.0 * reach / size)
        middle = (low + high) / 2
        self.scale.copy_(scale)
        self.offset.copy_(torch.where(far, 0.0, -scale * middle))
        self.centre.copy_(torch.where(far, middle, 0.0))
        self._is_centred = bool(far.any())
        self.constant = constant.cpu()

    def hide(self, dimensions: Sequence[int]) -> None:
        """Makes dimensions 0 in normalised units; `inverse` cannot recover them.

        Call it after `fit`.
        """
        self.scale[list(dimensions)] = self.offset[list(dimensions)] = 0.0

    @staticmethod
    def _far_and_constant(
        low: Tensor, high: Tensor, min_range: float
    ) -> tuple[Tensor, Tensor]:
        """Tells which dimensions lie far from 0 and which are constant, `(D,)` each."""
        size = high.double() - low.double()
        largest = torch.maximum(low.abs(), high.abs()).double()
        smallest = torch.finfo(torch.float32).tiny  # its inverse is finite in float32
        noise = (ROUNDING * torch.finfo(low.dtype).eps * largest).clamp(min=smallest)
        constant = (size < min_range) | (size <= noise)
        return ~constant & (size < FAR_FROM_ZERO * largest), constant

    def from_numpy(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """Moves rows `(..., D)` in units of the environment to a device.

        They are rounded to float32 where nothing is lost by that.
        """
        wanted = torch.float64 if self._is_centred else torch.float32
        return torch.as_tensor(rows, dtype=wanted, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Converts `(..., D)` from units of the environment to normalised units."""
        if self._is_centred:
            x = (x.double() - self.centre).float()
        return x * self.scale + self.offset

    def inverse(self, x: Tensor) -> Tensor:
        """Converts `(..., D)` from normalised units to units of the environment.

        They are float64 where `fit` centred in float64.
        """
        x = (x - self.offset) / self.scale
        return x.double() + self.centre if self._is_centred else x

    def _save_to_state_dict(
        self, destination: dict[str, Tensor], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._is_centred:
            destination[f"{prefix}centre"] = self.centre.detach()

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        centre = state_dict.get(f"{prefix}centre")
        if centre is not None and centre.shape == self.centre.shape:
            state_dict.pop(f"{prefix}centre")
        self._is_centred = centre is not None
        self.centre.copy_(torch.zeros_like(self.centre) if centre is None else centre)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ActionNormalizer(Normalizer):
    """Scales actions to [-1, 1], and keeps decisions near the demonstrated actions.

    A dimension is constant when its range is within rounding errors, however small its
    unit. Its `scale` is 0: it is 0 in normalised units, and the constant in units of
    the environment.
    """

    # Decisions may leave the demonstrated range by half of it, on each side.
    MARGIN = 1.0  # normalised, where the range is 2 wide

    def fit(self, data: Tensor, min_range: float = 0.0, reach: float = 1.0) -> None:
        """Measures the range of every dimension; see `Normalizer`."""
        super().fit(data, min_range, reach)
        constant = self.constant.to(self.scale.device)
        self.scale.masked_fill_(constant, 0.0)
        if self._is_centred:  # a constant is as exact as the other dimensions
            self.centre.copy_(torch.where(constant, data.amin(0), self.centre))
            self.offset.masked_fill_(constant, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Converts actions `(..., Da)` to normalised units."""
        return torch.where(self.scale == 0, 0.0, super().forward(x))

    def inverse(self, x: Tensor) -> Tensor:
        """Converts decisions `(..., Da)` to units of the environment, within margin."""
        x = x.clamp(-1 - self.MARGIN, 1 + self.MARGIN)
        constant = self.centre - self.offset if self._is_centred else -self.offset
        return torch.where(self.scale == 0, constant, super().inverse(x))
