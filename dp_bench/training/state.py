"""The state of a training: everything that an exact resume has to restore."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dp_bench.errors import BadInput
from dp_bench.policies.base import Policy
from dp_bench.runs.facts import checked_facts
from dp_bench.training.config import Training
from dp_bench.training.flat import FlatParameters
from dp_bench.util.tensors import load_tensors, save_tensors


class TrainingState:
    """Weights, their moving average, the optimiser, and how far training has come.

    Args:
        policy: Fitted, on `device`; its weights are trained in place.
        training: Settings.
        device: Device that computes.
        streams: Whether batches are read from a file, so that no CUDA graph can hold
            an update.

    Attributes:
        values: The trained vectors: one per group on a CPU, one per parameter on a GPU.
        average: The moving average of each of `values`; empty without one.
        update: Updates made so far.
        seconds: Wall-clock time of the training so far [s].
        loss_sum: Sum of the losses of the last `loss_count` updates, which no line of
            the log has yet; set where the state is saved between two lines.
        lr_factors: Multiples of the learning rate, one for each group of parameters.
        average_weight: Weight of the new values in the moving average.
    """

    def __init__(
        self,
        policy: Policy,
        training: Training,
        device: torch.device,
        *,
        streams: bool = False,
    ) -> None:
        self.policy, self.device = policy, device
        groups = policy.optimizer_groups(training.weight_decay)
        self.lr_factors = [group.pop("lr_factor", 1.0) for group in groups]
        self.flat: list[FlatParameters] = []
        # A GPU updates many tensors at once, and its LSTM lays out its own parameters.
        if device.type == "cpu":
            self.flat = [FlatParameters(group["params"]) for group in groups]
            for group, flat in zip(groups, self.flat, strict=True):
                group["params"] = [flat.values]
        self.values: list[Tensor] = [v for group in groups for v in group["params"]]
        self.average = [v.detach().clone() for v in self.values] if training.ema else []
        # A CUDA graph reads what changes between updates from tensors.
        self.uses_cuda_graph = (
            device.type == "cuda" and policy.recordable and not streams
        )
        self.average_weight: Tensor | float = 1.0
        lrs: list[Tensor | float] = [training.lr for _ in groups]
        if self.uses_cuda_graph:
            self.average_weight, *lrs = torch.zeros(1 + len(groups), device=device)
        self.optimizer = torch.optim.AdamW(
            [{**group, "lr": lr} for group, lr in zip(groups, lrs, strict=True)],
            betas=training.betas,
            fused=True,
            capturable=self.uses_cuda_graph,
        )
        self.update = 0
        self.seconds = 0.0
        self.loss_sum, self.loss_count = 0.0, 0

    def set_rates(self, lr: float, average_weight: float) -> None:
        """Sets the learning rate of the policy and the weight of the moving average."""
        pairs = zip(self.optimizer.param_groups, self.lr_factors, strict=True)
        if isinstance(self.average_weight, Tensor):
            self.average_weight.fill_(average_weight)
            for group, factor in pairs:
                group["lr"].fill_(lr * factor)
            return
        self.average_weight = average_weight
        for group, factor in pairs:
            group["lr"] = lr * factor

    def move_average(self) -> None:
        """Moves the average towards the current weights."""
        if not self.average:
            return
        with torch.no_grad():  # or autograd would keep a node for every update
            if not isinstance(self.average_weight, Tensor):
                torch._foreach_lerp_(self.average, self.values, self.average_weight)
                return
            steps = torch._foreach_sub(self.values, self.average)
            torch._foreach_mul_(steps, self.average_weight)
            torch._foreach_add_(self.average, steps)

    def is_finite(self) -> bool:
        """Whether all weights are finite; a finite loss vouches only for older ones."""
        return math.isfinite(sum(v.detach().double().sum() for v in self.values))

    def averaged_policy(self) -> Policy:
        """Copies the policy with the averaged weights, for evaluation."""
        if not self.average:
            return copy.deepcopy(self.policy).eval()
        with torch.no_grad():
            current = [v.clone() for v in self.values]
            torch._foreach_copy_(self.values, self.average)
            policy = copy.deepcopy(self.policy).eval()
            torch._foreach_copy_(self.values, current)
        return policy

    def save(self, file: Path) -> None:
        """Writes the state; training can resume from it on another device too."""
        tensors = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        averages = self._by_parameter(self.average)
        tensors |= {f"average.{i}": average for i, average in enumerate(averages)}
        states = [self.optimizer.state[values] for values in self.values]
        for name in ("exp_avg", "exp_avg_sq"):
            pieces = self._by_parameter([state[name] for state in states])
            tensors |= {f"optimizer.{i}.{name}": t for i, t in enumerate(pieces)}
        tensors["optimizer.step"] = states[0]["step"]  # the same for all
        losses = {"loss_sum": self.loss_sum, "loss_count": self.loss_count}
        save_tensors(file, tensors, self._facts() | losses)

    def save_weights(self, file: Path) -> None:
        """Writes the weights to evaluate at this point of the training."""
        save_tensors(file, self.averaged_policy().state_dict(), self._facts())

    def restore(self, file: Path) -> None:
        """Restores a saved state.

        Raises:
            BadInput: When the file is damaged or belongs to another training.
        """
        tensors, facts = load_tensors(file)
        checked = checked_facts(file, facts)
        try:
            self._restore(tensors)
        except (RuntimeError, KeyError) as error:
            raise BadInput(
                f"{file} is not a state of this training "
                f"({' '.join(str(error).split())[:200]}); "
                "delete it to train from the start"
            ) from None
        self.update, self.seconds = checked.update, checked.seconds
        self.loss_sum, self.loss_count = checked.loss_sum, checked.loss_count

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        weights = {
            name.removeprefix("policy."): tensor
            for name, tensor in tensors.items()
            if name.startswith("policy.")
        }
        self.policy.load_state_dict(weights)
        for i, average in enumerate(self._by_parameter(self.average)):
            _copy(average, tensors, f"average.{i}")
        step = torch.zeros((), device=self.device)
        _copy(step, tensors, "optimizer.step")
        for values in self.values:
            self.optimizer.state[values] = {
                "step": step.clone(),
                "exp_avg": torch.zeros_like(values),
                "exp_avg_sq": torch.zeros_like(values),
            }
        states = [self.optimizer.state[values] for values in self.values]
        for name in ("exp_avg", "exp_avg_sq"):
            pieces = self._by_parameter([state[name] for state in states])
            for i, piece in enumerate(pieces):
                _copy(piece.detach(), tensors, f"optimizer.{i}.{name}")

    def finish(self, file: Path) -> None:
        """Gives the policy the weights to evaluate, and writes them."""
        if self.average:
            with torch.no_grad():
                torch._foreach_copy_(self.values, self.average)
        save_tensors(file, self.policy.state_dict(), self._facts())

    def _facts(self) -> dict[str, float]:
        return {"update": self.update, "seconds": self.seconds}

    def _by_parameter(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """Splits vectors like `values` into one tensor per parameter.

        Files hold one tensor per parameter, on whatever device training ran.
        """
        if not self.flat:
            return list(vectors)
        pairs = zip(self.flat, vectors, strict=False)  # there may be no average
        return [piece for flat, vector in pairs for piece in flat.split(vector)]


def _copy(target: Tensor, tensors: Mapping[str, Tensor], name: str) -> None:
    """Copies a tensor, and fills none with a smaller one."""
    if tensors[name].shape != target.shape:
        raise RuntimeError(
            f"{name} has shape {tuple(tensors[name].shape)}, and must have "
            f"{tuple(target.shape)}"
        )
    target.copy_(tensors[name])
