"""A trained network at one decision, as samplers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dp_bench.policies.diffusion.network import Network
from dp_bench.policies.diffusion.schedule import diffusion_times

# `Network.denoise`, or a recording of it.
DenoiseFunction = Callable[[Tensor, Tensor], Tensor]


class ConditionedNetwork:
    """A network with the observations of one decision.

    What depends on the time and the observations alone is computed once for each time,
    and for many times together if `prepare` names them.

    Args:
        network: The network.
        obs: Normalised observations or features, `(B, To, Do)`.
        shape: Shape of a sequence of actions, `(Tp, Da)`.
        run: Runs `network.denoise`; None to call it.

    Attributes:
        calls: How often the network was called.
    """

    def __init__(
        self,
        network: Network,
        obs: Tensor,
        shape: tuple[int, int],
        run: DenoiseFunction | None = None,
    ) -> None:
        self.calls = 0
        self._network, self._obs, self._shape = network, obs, shape
        self._run = run or network.denoise
        self._conditions: dict[float, Tensor] = {}

    def prepare(self, times: Sequence[float]) -> None:
        """Computes the conditions of times `(K,)`, for later calls."""
        at = torch.tensor(times, device=self._obs.device)
        conditions = self._network.conditions(at, self._obs)
        self._conditions.update(zip(times, conditions, strict=True))

    def zeros(self) -> Tensor:
        """Returns a sequence of zeros for each observation, `(B, Tp, Da)`."""
        return self._obs.new_zeros(len(self._obs), *self._shape)

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Returns the network's output `(B, Tp, Da)` for actions `x` at a time."""
        if t not in self._conditions:
            self.prepare([t])
        self.calls += 1
        return self._run(x, self._conditions[t])


class Point(NamedTuple):
    """A point on the way from noise to actions.

    Attributes:
        place: For `Denoiser` alpha-bar, the signal's share of the variance; for
            `FlowDenoiser` the share of the actions. It is 1 at the end.
        t: Time at which the network is called; None at the end.
    """

    place: float
    t: float | None


class Denoised(NamedTuple):
    """What noisy actions consist of, `(B, Tp, Da)` each.

    Attributes:
        x0: The actions without noise, in [-1, 1].
        eps: The noise, of standard deviation 1.
    """

    x0: Tensor
    eps: Tensor


class Denoiser:
    """A network trained to denoise (Ho et al., 2020), for one decision.

    Args:
        network: The network.
        alphas_bar: From `noise_schedule`, `(train_steps,)`.
        predicts: What the network predicts, the "noise" or the "sample".
        spacing: Spacing of the diffusion steps; see `diffusion_times`.
    """

    def __init__(
        self,
        network: ConditionedNetwork,
        alphas_bar: Sequence[float],
        predicts: Literal["noise", "sample"],
        spacing: Literal["uniform", "quadratic"] = "uniform",
    ) -> None:
        self.network, self.alphas_bar, self.predicts = network, alphas_bar, predicts
        self.spacing = spacing

    def points(self, count: int) -> list[Point]:
        """Lists `count` points, noisiest first, and the end; see `Point`."""
        times = diffusion_times(count, len(self.alphas_bar), self.spacing)
        self.network.prepare(times)
        return [*(Point(self.alphas_bar[t], t) for t in times), Point(1.0, None)]

    def __call__(self, x: Tensor, point: Point) -> Denoised:
        """Splits noisy actions `(B, Tp, Da)` into actions and noise."""
        assert point.t is not None
        share = point.place
        out = self.network(x, point.t)
        from_x, from_eps = share**-0.5, ((1 - share) / share) ** 0.5
        if self.predicts == "noise":
            return Denoised((from_x * x - from_eps * out).clamp(-1, 1), out)
        return Denoised(out.clamp(-1, 1), (from_x * x - out) / from_eps)

    def prediction(self, x: Tensor, point: Point) -> Tensor:
        """Predicts the actions without noise."""
        return self(x, point).x0

    def step(self, x: Tensor, here: Point, there: Point, prediction: Tensor) -> Tensor:
        """Goes to another point, taking `prediction` for the actions without noise."""
        a, b = here.place, there.place
        eps = (x - a**0.5 * prediction) / (1 - a) ** 0.5
        return b**0.5 * prediction + (1 - b) ** 0.5 * eps


class FlowDenoiser:
    """A network trained to predict velocities (Lipman et al., 2022), for one decision.

    Args:
        network: The network.
        train_steps: Time of the network at the end of the way; it is 0 at the noise.
        spacing: "uniform", or "quadratic" for small steps where little noise is left.
    """

    def __init__(
        self,
        network: ConditionedNetwork,
        train_steps: int,
        spacing: Literal["uniform", "quadratic"] = "uniform",
    ) -> None:
        self.network, self.train_steps = network, train_steps
        self.power = 2 if spacing == "quadratic" else 1

    def points(self, count: int) -> list[Point]:
        """Lists `count` points, noisiest first, and the end; see `Point`."""
        shares = [1 - (1 - k / count) ** self.power for k in range(count + 1)]
        times = [share * self.train_steps for share in shares[:-1]]
        self.network.prepare(times)
        return [*map(Point, shares[:-1], times), Point(1.0, None)]

    def prediction(self, x: Tensor, point: Point) -> Tensor:
        """Predicts the velocity."""
        assert point.t is not None
        return self.network(x, point.t)

    def step(self, x: Tensor, here: Point, there: Point, prediction: Tensor) -> Tensor:
        """Goes to another point with a velocity."""
        return x + (there.place - here.place) * prediction
