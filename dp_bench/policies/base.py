"""The base class of every trained policy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.seeds import Purpose, derive

FEW_LANES = 4  # up to here a second thread costs more than it brings


@dataclass(frozen=True)
class ObsConfig:
    """How a policy takes its observations, whatever its method.

    Attributes:
        obs_scale: Observations are normalised to plus and minus this; 1 as published.
            Where millimetres matter in half a metre, a small network learns much
            faster what to do when neighbouring observations are further apart.
        obs_noise: Standard deviation of noise added to observations in training, of
            observations normalised to plus and minus 1; against learning few
            demonstrations by heart. 0 as published.
        obs_min_range: Observed numbers whose range in the demonstrations is smaller are
            only shifted, in units of the environment; where a sensor has noise, what
            never moves would else be noise from -1 to 1.
    """

    obs_scale: float = 1.0
    obs_noise: float = 0.0
    obs_min_range: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.obs_min_range < math.inf:
            raise BadInput(
                f"obs_min_range must be 0 or above, got {self.obs_min_range}"
            )
        if not 0 < self.obs_scale < math.inf:
            raise BadInput(f"obs_scale must be above 0, got {self.obs_scale}")
        if not 0 <= self.obs_noise < math.inf:
            raise BadInput(f"obs_noise must be 0 or above, got {self.obs_noise}")


class Normalizer(nn.Module):
    """Scales each dimension of the training data to [-1, 1].

    A dimension that never changes in the data is only shifted to 0: dividing by its
    range would turn rounding error into signal.

    Args:
        dim: Number of dimensions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("offset", torch.zeros(dim))
        self.scale: Tensor
        self.offset: Tensor

    def fit(self, data: Tensor, min_range: float = 1e-4, reach: float = 1.0) -> None:
        """Takes the range of `(N, D)`.

        Args:
            data: All rows that training sees.
            min_range: A dimension whose range is smaller counts as constant.
            reach: Scales to [-reach, reach] instead.
        """
        low, high = data.amin(0).double(), data.amax(0).double()
        constant = high - low < min_range
        size = torch.where(constant, 1.0, high - low)
        scale = torch.where(constant, 1.0, 2.0 * reach / size)
        self.scale.copy_(scale)
        self.offset.copy_(-scale * (low + high) / 2)

    def forward(self, x: Tensor) -> Tensor:
        """From units of the environment to [-1, 1], `(..., D)`."""
        return x * self.scale + self.offset

    def inverse(self, x: Tensor) -> Tensor:
        """From [-1, 1] to units of the environment, `(..., D)`."""
        return (x - self.offset) / self.scale


class Policy(nn.Module):
    """The base of everything that is trained.

    A subclass names its settings in `config_class` (a dataclass with `horizons`) and
    defines `loss` and `predict` (or `predict_from`, if it remembers), which see
    normalised units only; it may extend `fit` and `parameter_groups`, and says by
    `rows_seen` if its loss takes observations of more rows than To. It may say that it
    is `recordable`: that its loss reads no number back from the device, whatever is
    computed, so that a GPU can repeat a recording of it.

    Args:
        config: An instance of `config_class`.
        obs_dim: Do.
        action_dim: Da.
    """

    config_class: ClassVar[type]
    recordable: ClassVar[bool] = False  # whether a GPU may record its `loss`

    def __init__(self, config: Any, *, obs_dim: int, action_dim: int) -> None:
        super().__init__()
        self.config = config
        self.horizons: Horizons = config.horizons
        self.obs_dim, self.action_dim = obs_dim, action_dim
        self.obs_units = Normalizer(obs_dim)
        self.action_units = Normalizer(action_dim)
        self.train_dtype = torch.float32
        self._generators: list[torch.Generator] = []
        self._memory: list[Any] = []
        # settings of a method of another package need not have these
        self._obs_config = config if isinstance(config, ObsConfig) else ObsConfig()

    def fit(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> None:
        """Learns what is not learned by gradient: the units.

        Args:
            obs: Training rows, `(N, Do)`, in units of the environment.
            actions: Training rows, `(N, Da)`, in units of the environment.
            generator: For methods that draw here.
        """
        config = self._obs_config
        self.obs_units.fit(obs, config.obs_min_range, config.obs_scale)
        self.action_units.fit(actions)

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """What training minimises.

        Args:
            obs: Normalised, `(B, Tp, Do)`.
            actions: Normalised, `(B, Tp, Da)`.
            generator: Source of all noise, on the device of the data.

        Returns:
            A scalar; large matrix products may have operands of type `train_dtype`.
        """
        raise NotImplementedError

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Predicts actions, normalised.

        Args:
            obs: Normalised, `(B, To, Do)`.
            generators: Source of the noise of each lane, `B` of them, on the CPU, so
                that every device draws the same; each must be asked for the same
                amount whatever the other lanes do.

        Returns:
            Normalised actions, `(B, Tp, Da)`.
        """
        raise NotImplementedError

    def predict_from(
        self,
        obs: Tensor,
        generators: Sequence[torch.Generator],
        memory: list[Any],
    ) -> Tensor:
        """Predicts as `predict` does; a policy that remembers defines this instead.

        Args:
            obs: As of `predict`.
            generators: As of `predict`.
            memory: What each lane remembers, `B` entries, None where an episode
                begins; to be replaced by what each shall remember.

        Returns:
            As of `predict`, or only as far as is executed.
        """
        return self.predict(obs, generators)

    def blurred(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Observations with the noise of `ObsConfig` in training."""
        config = self._obs_config
        if not (self.training and config.obs_noise):
            return obs
        noise = torch.randn(obs.shape, generator=generator, device=obs.device)
        return obs + config.obs_noise * config.obs_scale * noise

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The optimiser's groups; here all parameters share the weight decay."""
        return [{"params": list(self.parameters()), "weight_decay": weight_decay}]

    def reset(self, env_seeds: Sequence[int]) -> None:
        """Begins one episode in each lane; the seeds also seed the sampler's noise."""
        seeds = [derive(Purpose.DECISIONS, seed) for seed in env_seeds]
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._memory = [None] * len(seeds)

    def restart(self, lane: int, env_seed: int) -> None:
        """Begins a new episode in one lane, leaving the others as they are."""
        seed = derive(Purpose.DECISIONS, env_seed)
        self._generators[lane] = torch.Generator().manual_seed(seed)
        self._memory[lane] = None

    @torch.inference_mode()
    def act(self, obs: np.ndarray, lanes: Sequence[int] | None = None) -> np.ndarray:
        """Decides: the one place where units change and the executed part is cut out.

        Args:
            obs: The latest observations, oldest first, `(B, To, Do)`, in units of the
                environment.
            lanes: Which lanes the rows are; None for all.

        Returns:
            Actions, `(B, Ta, Da)`, in units of the environment.

        Raises:
            BadInput: For a wrong shape, or values that are not finite.
        """
        lanes = range(len(self._generators)) if lanes is None else lanes
        expected = (len(lanes), self.horizons.obs, self.obs_dim)
        if obs.shape != expected:
            raise BadInput(
                f"observations must be (B, To, Do) = {expected}, got {obs.shape}"
            )
        if not np.isfinite(obs).all():
            raise BadInput("an observation holds a value that is not finite")
        device = self.obs_units.scale.device
        given = torch.as_tensor(obs, dtype=torch.float32, device=device)
        generators = [self._generators[lane] for lane in lanes]
        memory = [self._memory[lane] for lane in lanes]
        with threads_for(len(lanes), device):
            actions = self.predict_from(self.obs_units(given), generators, memory)
            executed = self.action_units.inverse(actions[:, self.horizons.executed])
        for lane, entry in zip(lanes, memory, strict=True):
            self._memory[lane] = entry
        return executed.cpu().numpy()

    @property
    def rows_seen(self) -> int:
        """How many rows of a window, from its first, the loss takes observations of."""
        return self.horizons.obs

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


@contextlib.contextmanager
def threads_for(lanes: int, device: torch.device) -> Iterator[None]:
    """Decides for a few lanes on one thread, as rollouts do."""
    before = torch.get_num_threads()
    if device.type != "cpu" or lanes > FEW_LANES or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
