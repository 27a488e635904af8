"""Settings of Diffusion Policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dp_bench import registry
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.layers import check_transformer
from dp_bench.policies.observations import ObsConfig

MOST_STEPS = 10_000  # of a noise schedule
MOST_DRAWS = 1000  # for a window
DETERMINISTIC = ("mip", "regression")  # objectives without noise in a decision


@dataclass(frozen=True)
class DiffusionConfig(ObsConfig):
    """Settings that every network of Diffusion Policy shares.

    Attributes:
        horizons: To, Ta, Tp.
        train_steps: Diffusion steps that the network is trained on.
        objective: What the network is trained on: "ddpm", as published; "flow"
            (Lipman et al., 2022); "mip", two passes without random noise in decisions
            (Pan et al., 2025); or "regression", the mean squared error in one pass.
        predicts: What the network predicts under "ddpm": the "noise" in a sequence, as
            published, or the "sample", the sequence without noise. A small transformer
            learns the sample much faster.
        sampler: How noise becomes actions: "ddpm" (Ho et al., 2020), "ddim" (Song et
            al., 2021), "dpmsolver++" (Lu et al., 2022), "euler", "heun", or a sampler
            of an installed package. "flow" takes "euler" and "heun". All use the same
            weights.
        eta: Noise that "ddim" adds: 0 for none, 1 for as much as the sampler "ddpm".
        spacing: Diffusion steps that a sampler visits: "uniform", as published, or
            "quadratic", most of them where little noise is left.
        noise_draws: Pairs of noise and diffusion step that the loss draws for each
            window, K; 1 as published. An encoder of images runs once for all of
            them, which pays where it takes most of an update.
        sample_steps: Network calls of one decision under "ddpm" and "flow"; at least 2
            where the network predicts the noise.
        past_samples: Sequences to draw for a decision. A sequence begins To - 1 steps
            ago, and the policy follows the one whose first To - 1 actions are closest
            to the executed ones (Torne et al., 2025); 1 as published.
    """

    # The weights are good for one value of these, so an evaluation cannot change them.
    FIXED: ClassVar[tuple[str, ...]] = (
        *ObsConfig.FIXED, "objective", "predicts", "train_steps",
    )  # fmt: skip

    horizons: Horizons = field(default_factory=Horizons)
    train_steps: int = 100
    predicts: Literal["noise", "sample"] = "noise"
    sampler: str = "ddim"
    sample_steps: int = 16
    noise_draws: int = 1
    objective: Literal["ddpm", "flow", "mip", "regression"] = "ddpm"
    eta: float = 0.0
    spacing: Literal["uniform", "quadratic"] = "uniform"
    past_samples: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_without_older(self.horizons.obs)
        if not 1 <= self.noise_draws <= MOST_DRAWS:
            raise BadInput(
                f"noise_draws must be in 1..{MOST_DRAWS}, got {self.noise_draws}"
            )
        if self.train_steps > MOST_STEPS:
            raise BadInput(
                f"train_steps must be at most {MOST_STEPS}, got {self.train_steps}"
            )
        if not 1 <= self.sample_steps <= self.train_steps:
            raise BadInput(
                f"sample_steps must be in 1..train_steps = {self.train_steps}, "
                f"got {self.sample_steps}"
            )
        if not 1 <= self.past_samples <= MOST_DRAWS:
            raise BadInput(
                f"past_samples must be in 1..{MOST_DRAWS}, got {self.past_samples}"
            )
        if self.past_samples > 1 and self.horizons.obs == 1:
            raise BadInput(
                f"past_samples is {self.past_samples}, but with horizons.obs = 1 a "
                f"sequence holds no past action; set it to 1, or raise horizons.obs"
            )
        if self.past_samples > 1 and self.objective in DETERMINISTIC:
            raise BadInput(
                f"{self.objective} draws no noise in a decision: past_samples must be "
                f"1, got {self.past_samples}"
            )
        if not 0 <= self.eta <= 1:
            raise BadInput(f"eta must be in [0, 1], got {self.eta}")
        if self.eta and self.sampler != "ddim":
            raise BadInput(
                f"eta is a setting of the sampler ddim: it must be 0 with "
                f"{self.sampler!r}, got {self.eta}"
            )
        suited = registry.samplers_for(self.objective)
        draws_noise = self.objective not in DETERMINISTIC
        if registry.sampler(self.sampler).name not in suited and draws_noise:
            raise BadInput(
                f"the objective {self.objective} needs the sampler "
                f"{' or '.join(suited)}, got {self.sampler!r}"
            )
        if self.objective == "regression" and self.noise_draws > 1:
            raise BadInput(
                f"regression draws no noise: noise_draws must be 1, "
                f"got {self.noise_draws}"
            )
        if self.objective != "ddpm":
            return
        if self.sample_steps == 1 and self.predicts == "noise":
            raise BadInput(
                "sample_steps must be at least 2 where the network predicts the noise, "
                "got 1: the noise in pure noise tells nothing about the actions; raise "
                'sample_steps, or train with predicts "sample"'
            )

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of settings that the objective does not use."""
        if self.objective in DETERMINISTIC:
            return ("sampler", "sample_steps", "eta", "spacing", "predicts")
        return ("predicts",) if self.objective == "flow" else ()

    @property
    def draws(self) -> int:
        """How many normal tensors the sampler needs for one decision."""
        adds_noise = registry.sampler(self.sampler).draws_each_call or self.eta > 0
        return self.sample_steps if adds_noise else 1


@dataclass(frozen=True)
class UnetDiffusionConfig(DiffusionConfig):
    """Settings of DP-C.

    Attributes:
        channels: Channels of the U-Net's levels, outermost first.
        kernel_size: Kernel size of the convolutions along time; odd.
        groups: Groups of every group norm; divides every entry of `channels`.
        step_dim: Size of the embedding of a diffusion step; even.
    """

    channels: tuple[int, ...] = (256, 512, 1024)
    kernel_size: int = 5
    groups: int = 8
    step_dim: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels or min(self.groups, *self.channels) < 1:
            raise BadInput(
                f"channels and groups must be at least 1, "
                f"got {self.channels} and {self.groups}"
            )
        if any(c % self.groups for c in self.channels):
            raise BadInput(
                f"channels {self.channels} must be multiples of groups {self.groups}"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise BadInput(f"kernel_size must be odd, got {self.kernel_size}")
        if self.step_dim < 4 or self.step_dim % 2:
            raise BadInput(f"step_dim must be even and at least 4, got {self.step_dim}")
        multiple = 2 ** (len(self.channels) - 1)
        if self.horizons.prediction % multiple:
            raise BadInput(
                f"a U-Net of {len(self.channels)} levels needs a prediction horizon "
                f"that is a multiple of {multiple}, got {self.horizons.prediction}"
            )


@dataclass(frozen=True)
class TransformerDiffusionConfig(DiffusionConfig):
    """Settings of DP-T.

    Attributes:
        width: Size of a token; even.
        heads: Attention heads; divides `width`.
        layers: Layers of the decoder.
        condition_layers: Layers of the encoder of diffusion step and observations; with
            0 the encoder is an MLP.
        causal: Whether the encoder hides later observations from earlier ones. The
            published encoder hides none, and the network can infer an action from the
            observation that follows it.
        dropout: Dropout of attention weights and of the output of each layer.
        embedding_dropout: Dropout of tokens.
        conditioning: How time and observations reach the actions: by
            "cross_attention", as published, or by "adaln", adaptive layer norm, where
            every action sees every other (Zhu et al., 2024).
    """

    width: int = 256
    heads: int = 4
    layers: int = 8
    condition_layers: int = 0
    causal: bool = False
    dropout: float = 0.01
    embedding_dropout: float = 0.0
    conditioning: Literal["cross_attention", "adaln"] = "cross_attention"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_transformer(self.width, self.heads, self.layers)
        if self.width % 2 or self.width < 4:  # as sinusoidal_embedding requires
            raise BadInput(f"width must be even and at least 4, got {self.width}")
        for name in ("dropout", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.condition_layers < 0:
            raise BadInput(
                f"condition_layers must be 0 or above, got {self.condition_layers}"
            )
        if self.conditioning == "adaln" and (
            self.condition_layers or self.embedding_dropout
        ):
            raise BadInput(
                f"condition_layers and embedding_dropout must be 0 with conditioning "
                f"adaln, got {self.condition_layers} and {self.embedding_dropout}"
            )
        if self.causal and not self.condition_layers:
            raise BadInput(
                "causal is a setting of the encoder: it needs condition_layers above 0"
            )


@dataclass(frozen=True)
class MlpDiffusionConfig(DiffusionConfig):
    """Settings of DP-MLP.

    Attributes:
        width: Units of every layer.
        blocks: Residual blocks of two layers each.
        step_dim: Size of the embedding of a diffusion step; even.
    """

    width: int = 512
    blocks: int = 3
    step_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.blocks) < 1:
            raise BadInput(
                f"width and blocks must be at least 1, got {self.width} and "
                f"{self.blocks}"
            )
        if self.step_dim < 4 or self.step_dim % 2:
            raise BadInput(f"step_dim must be even and at least 4, got {self.step_dim}")
