"""The base class of every trained policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.checks import check_prediction, checked_array, joined_vectors
from dp_bench.policies.layers import ParameterGroup
from dp_bench.policies.observations import (
    ActionNormalizer,
    Normalizer,
    ObsConfig,
    Observation,
)
from dp_bench.seeds import Purpose, derive
from dp_bench.util.threads import torch_threads

if TYPE_CHECKING:
    from dp_bench.policies.vision.encoder import Encoder

FEW_LANES = 4  # up to this many, a second thread costs more time than it saves


class PolicyConfig(Protocol):
    """Settings of a policy: a dataclass with a field `horizons`."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def horizons(self) -> Horizons:
        """To, Ta, Tp."""
        ...


class Policy(nn.Module):
    """The base class of every trained policy.

    A subclass names the class of its settings in `config_class`. It defines `loss`, and
    either `predict` or, if it is recurrent, `predict_from`; these three see normalised
    units only. It may extend `fit` and `parameter_groups`. It overrides `rows_seen` if
    its loss reads observations of more than the first To rows of a window. It sets
    `recordable` if its loss never reads a number back from the device, so that a GPU
    can record the loss once and replay it.

    A method learns from images without code of its own: `see_with` gives it an
    encoder, and its observations are then the features of the encoder.

    Args:
        config: An instance of `config_class`.
        obs_dim: Do, or F, the number of features, where there is an encoder.
        action_dim: Da.

    Attributes:
        train_seed: Seed of the training that made the weights, which also seeds the
            sampler's noise; 0 for a policy of no run.
        encoder: Turns images and vectors into features; None for observations that
            are one array.
    """

    config_class: ClassVar[type[PolicyConfig]]
    recordable: ClassVar[bool] = False  # whether a GPU may record and replay `loss`
    config: PolicyConfig
    train_seed: int = 0
    encoder: Encoder | None

    def __init__(self, config: PolicyConfig, *, obs_dim: int, action_dim: int) -> None:
        super().__init__()
        self.config = config
        self.horizons = config.horizons
        self.obs_dim, self.action_dim = obs_dim, action_dim
        # Weight files and resume states know the two normalisers by these names.
        self.add_module("obs_units", Normalizer(obs_dim))
        self.add_module("action_units", ActionNormalizer(action_dim))
        self.encoder = None
        self.train_dtype = torch.float32
        self._generators: list[torch.Generator] = []
        self._memory: list[object] = []
        # The settings of another package's method need not extend ObsConfig.
        self._obs_config = config if isinstance(config, ObsConfig) else ObsConfig()
        if self._obs_config.disturbs_older:
            self._obs_config.refuse_without_older(self.rows_seen)
        self._obs_config.refuse_to_hide_from(obs_dim)

    def see_with(self, encoder: Encoder) -> None:
        """Gives a new policy the encoder of its observations, which are dictionaries.

        The vectors of an observation are normalised; the features are not.

        Raises:
            BadInput: When the policy was made for another number of features, or
                hides a number that the vectors do not have.
        """
        if encoder.features != self.obs_dim:
            raise BadInput(
                f"a policy of {self.obs_dim} observed numbers cannot use an encoder of "
                f"{encoder.features} features"
            )
        self._obs_config.refuse_to_hide_from(encoder.spec.vector_dim)
        self.encoder = encoder
        self.obs_units = Normalizer(encoder.spec.vector_dim)

    @property
    def obs_keys(self) -> tuple[str, ...] | None:
        """Keys of the dictionary that `act` takes; None where it takes one array."""
        return None if self.encoder is None else self.encoder.spec.keys

    @property
    def obs_normalizer(self) -> Normalizer:
        """Converts observations to normalised units and back.

        Where there is an encoder, it converts the vectors, `(..., Dv)`.
        """
        return cast(Normalizer, self.obs_units)

    @property
    def action_normalizer(self) -> ActionNormalizer:
        """Converts actions to normalised units and back."""
        return cast(ActionNormalizer, self.action_units)

    def fit(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> None:
        """Sets what gradients do not learn: here the two normalisers.

        Args:
            obs: Training rows, `(N, Do)`, in units of the environment, float32 or
                float64; the vectors, `(N, Dv)`, where there is an encoder.
            actions: Training rows, `(N, Da)`, of the same kind.
            generator: Source of randomness for methods that need some here.
        """
        config = self._obs_config
        self.obs_normalizer.fit(obs, config.obs_min_range, config.obs_scale)
        self.obs_normalizer.hide(config.hidden_obs)
        self.action_normalizer.fit(actions)

    def encode(
        self, obs: Tensor | Observation, generator: torch.Generator | None = None
    ) -> Tensor:
        """Turns observations into what the network takes, once a batch or decision.

        Args:
            obs: Normalised, `(B, T, Do)`; or images and normalised vectors.
            generator: Draws the crops and the noise on vectors in training; None in
                evaluation.

        Returns:
            `obs` itself, or features `(B, T, F)`.
        """
        if isinstance(obs, Tensor):
            return obs
        assert self.encoder is not None
        if generator is not None:
            noisy = self._with_noise(obs.vectors, generator)
            obs = obs._replace(vectors=noisy)
        dtype = self.train_dtype if self.training else torch.float32
        features: Tensor = self.encoder(obs, generator, dtype)
        return features

    def loss(self, obs: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """Computes the number that training minimises.

        Args:
            obs: Normalised, `(B, Tp, Do)`; features of the first `rows_seen` rows,
                where there is an encoder.
            actions: Normalised, `(B, Tp, Da)`.
            generator: Source of all noise, on the device of the data.

        Returns:
            A scalar. Large matrix products may round their operands to `train_dtype`.
        """
        raise NotImplementedError

    def predict(self, obs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Predicts actions.

        Args:
            obs: Normalised, `(B, To, Do)`.
            generators: Source of the noise, one for each of the `B` lanes. They live on
                the CPU, so that every device draws the same noise. Each lane must draw
                the same amount whatever the other lanes do.

        Returns:
            Normalised actions, `(B, Tp, Da)`.
        """
        raise NotImplementedError

    def predict_from(
        self,
        obs: Tensor,
        generators: Sequence[torch.Generator],
        memory: list[object],
    ) -> Tensor:
        """Predicts actions from observations and the memory of earlier decisions.

        Args:
            obs: See `predict`.
            generators: See `predict`.
            memory: One entry for each of the `B` lanes, None where an episode begins.
                The policy replaces each entry by the memory for its next decision.

        Returns:
            Normalised actions, `(B, Tp, Da)`; a policy may leave out the steps after
            the last executed one.
        """
        return self.predict(obs, generators)

    def decide(
        self,
        obs: Tensor,
        generators: Sequence[torch.Generator],
        memory: list[object],
    ) -> Tensor:
        """Predicts the actions to execute; see `predict_from` for the arguments.

        Returns:
            Normalised actions, `(B, Ta, Da)`.

        Raises:
            BadInput: When the policy predicts another shape than it must.
        """
        actions = self.predict_from(obs, generators, memory)
        recurrent = type(self).predict is Policy.predict
        check_prediction(
            actions,
            (len(obs), self.action_dim),
            self.horizons,
            by=f"{type(self).__name__}.{'predict_from' if recurrent else 'predict'}",
            may_end_early=recurrent,
        )
        return actions[:, self.horizons.executed]

    def disturbed(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Disturbs the observations that a loss sees, in training only.

        Adds the noise of `ObsConfig`, and replaces older observations with zeros in a
        share of the windows. Features get no noise here: `encode` adds it to vectors.

        Args:
            obs: Normalised, `(B, T, Do)`, or features `(B, T, F)`, oldest first.
            generator: Source of noise.
        """
        if not self.training:
            return obs
        if self.encoder is None:
            obs = self._with_noise(obs, generator)
        if not self._obs_config.obs_dropout:
            return obs
        draws = torch.rand((len(obs), 1, 1), generator=generator, device=obs.device)
        kept = draws >= self._obs_config.obs_dropout
        return torch.cat([obs[:, :-1] * kept, obs[:, -1:]], dim=1)

    def _with_noise(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        config = self._obs_config

        def normal(like: Tensor) -> Tensor:
            shape, device = like.shape, like.device
            draws = torch.randn(shape, generator=generator, device=device)
            hides = bool(config.hidden_obs)
            return draws * (self.obs_normalizer.scale != 0) if hides else draws

        if config.obs_noise:
            obs = obs + config.obs_noise * config.obs_scale * normal(obs)
        if config.older_obs_noise:
            older = obs[:, :-1]
            older = older + config.older_obs_noise * config.obs_scale * normal(older)
            obs = torch.cat([older, obs[:, -1:]], dim=1)
        return obs

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Groups the parameters for the optimiser; here all share the weight decay."""
        return [{"params": list(self.parameters()), "weight_decay": weight_decay}]

    def optimizer_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Groups all trained parameters, with a group for those of the encoder.

        Args:
            weight_decay: Of the policy's network; the encoder has a setting of its own.
        """
        seen = set() if self.encoder is None else {*map(id, self.encoder.parameters())}
        groups = self.parameter_groups(weight_decay)
        for group in groups:
            group["params"] = [p for p in group["params"] if id(p) not in seen]
        if self.encoder is not None:
            vision = self.encoder.config
            groups.append(
                {
                    "params": list(self.encoder.parameters()),
                    "weight_decay": vision.weight_decay,
                    "lr_factor": vision.lr_factor,
                }
            )
        for group in groups:
            group["params"] = [p for p in group["params"] if p.requires_grad]
        return [group for group in groups if group["params"]]

    def reset(self, env_seeds: Sequence[int]) -> None:
        """Begins one episode in each lane; the seeds also seed the sampler's noise."""
        self._generators = [self._sampler_noise(seed) for seed in env_seeds]
        self._memory = [None] * len(self._generators)

    def restart(self, lane: int, env_seed: int) -> None:
        """Begins a new episode in one lane and leaves the other lanes alone."""
        self._generators[lane] = self._sampler_noise(env_seed)
        self._memory[lane] = None

    def _sampler_noise(self, env_seed: int) -> torch.Generator:
        """Makes the source of the noise of all decisions of one episode.

        It depends on the train seed too: noise that all trainings share would not
        average out over them. Train seed 0 draws what every training drew before.
        """
        seed = derive(Purpose.DECISIONS, env_seed, self.train_seed)
        return torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def act(
        self,
        obs: np.ndarray | Mapping[str, np.ndarray],
        lanes: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Decides on the next actions.

        This is the one place that converts units and cuts out the executed steps.

        Args:
            obs: The latest observations, oldest first, `(B, To, Do)`, in units of the
                environment; where there is an encoder, `(B, To, ...)` by key.
            lanes: Which lanes the rows belong to; None for all.

        Returns:
            Actions, `(B, Ta, Da)`, in units of the environment.

        Raises:
            BadInput: For a missing key, a wrong shape, of observations or of what the
                policy predicts, or values that are not finite.
        """
        lanes = range(len(self._generators)) if lanes is None else lanes
        generators = [self._generators[lane] for lane in lanes]
        memory = [self._memory[lane] for lane in lanes]
        device = self.obs_normalizer.scale.device
        with threads_for(len(lanes), device):
            features = self.encode(self._observation(obs, len(lanes), device))
            executed = self.decide(features, generators, memory)
            executed = self.action_normalizer.inverse(executed)
        for lane, entry in zip(lanes, memory, strict=True):
            self._memory[lane] = entry
        return executed.cpu().numpy()

    def _observation(
        self,
        obs: np.ndarray | Mapping[str, np.ndarray],
        lanes: int,
        device: torch.device,
    ) -> Tensor | Observation:
        """Checks observations, normalises them and moves them to a device."""
        lead = lanes, self.horizons.obs
        if self.encoder is None:
            vectors = checked_array(obs, (*lead, self.obs_dim))
        else:
            vectors = joined_vectors(obs, lead, self.encoder.spec)
        if not np.isfinite(vectors).all():
            raise BadInput("an observation holds a value that is not finite")
        given = self.obs_normalizer.from_numpy(vectors, device)
        normalized: Tensor = self.obs_normalizer(given)
        if self.encoder is None:
            return normalized
        images = {
            key: torch.as_tensor(np.asarray(obs[key]), device=device)  # type: ignore[call-overload]
            for key in self.encoder.spec.images
        }
        return Observation(images, normalized)

    @property
    def rows_seen(self) -> int:
        """How many rows of a window, counted from its first, `loss` observes."""
        return self.horizons.obs

    @property
    def num_parameters(self) -> int:
        """How many numbers gradients train."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


@contextlib.contextmanager
def threads_for(lanes: int, device: torch.device) -> Iterator[None]:
    """Runs decisions for a few lanes on one thread, as rollouts do."""
    if device.type != "cpu" or lanes > FEW_LANES or torch.get_num_threads() == 1:
        yield
        return
    with torch_threads(1):
        yield
