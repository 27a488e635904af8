"""Contract tests of a policy; each takes the method's name and an empty folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from dp_bench import references, registry
from dp_bench.policies.base import Policy
from dp_bench.policies.observations import ObsConfig
from dp_bench.presets import preset
from dp_bench.training.batches import Batches
from dp_bench.util import settings
from dp_bench.util.tensors import load_tensors, save_tensors

OBS_DIM, ACTION_DIM = 6, 2
LANES_DIFFER = 1e-4  # largest effect of the batch on one lane, as a share of the range


def policy_actions_have_the_executed_shape(name: str, folder: Path) -> None:
    """`act` returns finite actions of shape `(B, Ta, Da)`."""
    policy = _fitted(name)
    policy.reset(range(3))
    actions = policy.act(_histories(policy, 3))
    shape = (3, policy.horizons.action, ACTION_DIM)
    assert actions.shape == shape, f"actions must be {shape}, got {actions.shape}"
    assert np.isfinite(actions).all(), "an action is not finite"


def policy_acts_the_same_after_loading(name: str, folder: Path) -> None:
    """A new policy acts identically once it has loaded the weights of another."""
    policy, other = _fitted(name), _fresh(name, seed=1)
    save_tensors(folder / "policy.safetensors", policy.state_dict(), {})
    other.load_state_dict(load_tensors(folder / "policy.safetensors")[0])
    obs = _histories(policy, 2)
    for each in (policy, other):
        each.reset([5, 6])
    assert np.array_equal(policy.act(obs), other.act(obs)), (
        "the loaded policy acts differently"
    )


def policy_leaves_the_global_generators_alone(name: str, folder: Path) -> None:
    """`loss` and `act` draw from their own generators only."""
    policy = _fitted(name)
    torch_before = torch.random.get_rng_state()
    numpy_before = _numpy_state()
    policy.reset([0])
    policy.act(_histories(policy, 1))
    _loss(policy)
    torch_after = torch.random.get_rng_state()
    assert torch.equal(torch_before, torch_after), "torch's global generator moved"
    assert np.array_equal(numpy_before, _numpy_state()), (
        "numpy's global generator moved"
    )


def policy_decisions_do_not_depend_on_other_lanes(name: str, folder: Path) -> None:
    """The k-th decision of an episode depends on its env seed and observations only."""
    policy = _fitted(name)
    obs = _histories(policy, 4)

    def decisions(env_seeds: Sequence[int], rows: Sequence[int]) -> np.ndarray:
        policy.reset(env_seeds)
        return np.stack([policy.act(obs[rows]) for _ in range(2)])

    one = decisions([7, 8, 9, 10], [0, 1, 2, 3])
    again = decisions([7, 8, 9, 10], [0, 1, 2, 3])
    assert np.array_equal(one, again), (
        "the same env seeds and observations gave other actions"
    )
    mixed = decisions([1, 2, 9, 3], [3, 0, 2, 1])
    gap = _gap(one[:, 2], mixed[:, 2], one)
    assert gap < LANES_DIFFER, f"other lanes moved a decision by {gap:.1e} of the range"


def policy_noise_depends_on_the_train_seed(name: str, folder: Path) -> None:
    """A policy that draws noise draws other noise under another train seed.

    Noise that all trainings share would not average out over them.
    """
    policy = _fitted(name)
    obs = np.repeat(_histories(policy, 1), 2, axis=0)

    def decisions(train_seed: int) -> np.ndarray:
        policy.train_seed = train_seed
        policy.reset([7, 8])
        return policy.act(obs)

    zero, one = decisions(0), decisions(1)
    assert np.array_equal(one, decisions(1)), (
        "the same train seed, env seeds and observations gave other actions"
    )
    draws_noise = _gap(zero[0], zero[1], zero) > LANES_DIFFER
    assert not draws_noise or not np.array_equal(zero[0], one[0]), (
        "two train seeds share the noise of the sampler; seed it from `train_seed`, too"
    )


def policy_disturbs_what_its_loss_sees(name: str, folder: Path) -> None:
    """The loss passes observations through `disturbed`, once and all that it sees.

    Otherwise the settings of `ObsConfig` for noise and dropout would do nothing. A
    method whose settings do not extend `ObsConfig` has none of them.
    """
    policy = _fitted(name)
    if not isinstance(policy.config, ObsConfig):
        return
    seen: list[int] = []

    def disturbed(obs: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(obs.shape[1])
        return obs

    vars(policy)["disturbed"] = disturbed  # hides the method
    _loss(policy.train())
    assert seen == [policy.rows_seen], (
        f"`loss` must call `self.disturbed` once, with the {policy.rows_seen} "
        f"observations of a window that it sees; it was called with {seen or 'none'}"
    )


def policy_restarts_one_lane(name: str, folder: Path) -> None:
    """`restart` makes one lane forget its episode and leaves the other lanes alone."""
    policy = _fitted(name)
    obs = _histories(policy, 2)
    policy.reset([7, 8])
    apart = [policy.act(obs) for _ in range(3)]
    policy.reset([7, 9])
    policy.act(obs)
    policy.restart(1, 8)
    later = [policy.act(obs) for _ in range(2)]
    gap = _gap(later[0][0], apart[1][0], np.stack(apart))
    assert gap < LANES_DIFFER, (
        f"restarting one lane moved another by {gap:.1e} of the range"
    )
    for k in range(2):
        gap = _gap(later[k][1], apart[k][1], np.stack(apart))
        assert gap < LANES_DIFFER, (
            f"a restarted lane and a fresh one differ by {gap:.1e} of the range"
        )


def policy_overfits_one_batch(name: str, folder: Path) -> None:
    """The loss falls on one batch, and gradients reach every parameter."""
    policy = _fitted(name).train()
    policy.zero_grad()
    first_loss = _loss_with_dropout(policy)
    first_loss.backward()
    unreached = [
        n
        for n, p in policy.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().any())
    ]
    assert not unreached, f"no gradient reaches {unreached}"
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = _loss_with_dropout(policy)
        loss.backward()
        optimizer.step()
    first, last = first_loss.item(), loss.item()
    assert last < first - 0.3 * abs(first), (
        "60 updates on one batch must lower the loss by 30 %, and it went from "
        f"{first:.3f} to {last:.3f}"
    )


def policy_settings_survive_json(name: str, folder: Path) -> None:
    """Settings are plain data: written to JSON and read again, they are equal."""
    config = _fresh(name).config
    assert dataclasses.is_dataclass(config), "settings must be a dataclass"
    assert not isinstance(config, type)
    copy = settings.from_json(type(config), settings.to_json(config))
    assert copy == config, f"JSON changed the settings {config} to {copy}"


def _generated_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three random walks, with actions that are linear in the observation."""
    rng = np.random.default_rng(0)
    ends = np.array([40, 90, 130])
    obs = rng.normal(size=(130, OBS_DIM)).cumsum(0)
    actions = np.stack([obs[:, 0] * 3 + 100, -obs[:, 1]], axis=1)
    return obs.astype(np.float32), actions.astype(np.float32), ends


def _fresh(name: str, seed: int = 0) -> Policy:
    """Builds a policy with its smoke settings, neither fitted nor trained."""
    method = registry.method(name)
    config = preset(method, "*", "smoke").policy
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = references.load(method.policy)(
            config, obs_dim=OBS_DIM, action_dim=ACTION_DIM
        )
        return cast(Policy, policy.eval())


@functools.cache
def _fitted_state(name: str) -> dict[str, Tensor]:
    policy = _fresh(name)
    obs, actions, _ = _generated_data()
    generator = torch.Generator().manual_seed(0)
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), generator)
    return policy.state_dict()


def _fitted(name: str) -> Policy:
    policy = _fresh(name)
    policy.load_state_dict(_fitted_state(name))
    return policy


def _histories(policy: Policy, lanes: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (lanes, policy.horizons.obs, OBS_DIM)
    return rng.normal(size=shape).astype(np.float32)


def _gap(one: np.ndarray, other: np.ndarray, actions: np.ndarray) -> float:
    """Measures the largest difference, as a share of the range of `actions`."""
    return float(np.abs(one - other).max() / (np.ptp(actions) + 1e-6))


def _numpy_state() -> np.ndarray:
    return np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002


def _loss_with_dropout(policy: Policy) -> Tensor:
    """Computes the loss and restores the global generator, which dropout draws from."""
    with torch.random.fork_rng(devices=[]):
        return _loss(policy)


def _loss(policy: Policy) -> Tensor:
    batches = Batches(
        policy,
        *_generated_data(),
        batch_size=16,
        train_seed=0,
        device=torch.device("cpu"),
    )
    obs, actions = batches.at(0)
    generator = torch.Generator().manual_seed(0)
    return policy.loss(policy.encode(obs), actions, generator)


POLICY_CHECKS = (
    policy_actions_have_the_executed_shape,
    policy_acts_the_same_after_loading,
    policy_leaves_the_global_generators_alone,
    policy_decisions_do_not_depend_on_other_lanes,
    policy_noise_depends_on_the_train_seed,
    policy_restarts_one_lane,
    policy_disturbs_what_its_loss_sees,
    policy_overfits_one_batch,
    policy_settings_survive_json,
)
