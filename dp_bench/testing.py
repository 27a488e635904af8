"""Contract tests that every task and every policy must pass, ours and yours.

In a test file of your own package::

    import pytest
    from dp_bench import testing

    @pytest.mark.parametrize("check", testing.TASK_CHECKS, ids=lambda c: c.__name__)
    def test_my_task(check):
        check("my_task")

    @pytest.mark.parametrize("check", testing.POLICY_CHECKS, ids=lambda c: c.__name__)
    def test_my_policy(check, tmp_path):
        check("my_method", tmp_path)

Each check raises AssertionError with what was broken. Policies are tried with their
smoke preset on made-up data.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dp_bench import references, registry
from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons

OBS_DIM, ACTION_DIM = 6, 2


def task_is_a_gymnasium_environment(name: str) -> None:
    """Gymnasium's own checker passes for every observation, warnings being errors.

    An observation that cannot be had here, of cameras where there is no OpenGL, is
    passed over with a warning.
    """
    from gymnasium.utils.env_checker import check_env

    task = registry.task(name)
    for obs_kind in task.obs_kinds:
        env = task.make_env(obs_kind=obs_kind)
        try:
            env.reset(seed=0)
        except BadInput as error:
            if obs_kind == task.obs_kinds[0]:
                raise
            warnings.warn(f"{obs_kind!r} is not checked: {error}", stacklevel=2)
            env.close()
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # actions are in units of the environment, as demonstrations are
            warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
            check_env(env.unwrapped, skip_render_check=True)
        env.close()


def task_repeats_itself(name: str) -> None:
    """Same seed and same actions give the same episode; other seeds another start."""
    task = registry.task(name)
    env = task.make_env()
    starts = [np.asarray(env.reset(seed=seed)[0]) for seed in (3, 3, 4)]
    assert np.array_equal(starts[0], starts[1]), "the same seed gave two starts"
    assert not np.array_equal(starts[0], starts[2]), "two seeds gave the same start"
    seen = []
    for _ in range(2):
        env.reset(seed=3)
        env.action_space.seed(0)
        steps = [env.step(env.action_space.sample()) for _ in range(20)]
        seen.append(steps)
    for one, other in zip(*seen, strict=True):
        assert np.array_equal(one[0], other[0]), "the same actions led elsewhere"
        assert one[1] == other[1], "the same actions earned another reward"
    env.close()


def task_gives_fresh_observations(name: str) -> None:
    """An observation is not a view that the next step overwrites."""
    env = registry.task(name).make_env()
    first, _ = env.reset(seed=0)
    kept = np.array(first)
    env.action_space.seed(0)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert np.array_equal(kept, first), "step() changed an earlier observation"
    env.close()


def task_scores_an_episode(name: str) -> None:
    """Its score is in [0, 1], and its sub-scores hold the columns of its table.

    All but those of choices: nothing may have been chosen.
    """
    from dp_bench.evaluation.rollout import play_group

    task = registry.task(name)
    env = task.make_env()

    class Still:
        horizons = Horizons(1, 1, 1)

        def reset(self, env_seeds: Sequence[int]) -> None:
            self.action = np.zeros(env.action_space.shape or (), np.float32)

        def restart(self, lane: int, env_seed: int) -> None:
            raise AssertionError("one episode in one lane needs no restart")

        def act(
            self, obs: np.ndarray, lanes: Sequence[int] | None = None
        ) -> np.ndarray:
            return np.tile(self.action, (len(obs), 1, 1))

    (episode,) = play_group(Still(), [env], [0], references.load(task.score))
    assert 0 <= episode.outcome.score <= 1, f"score {episode.outcome.score}"
    wanted = {c.key for c in task.columns if c.statistic == "mean"}
    missing = wanted - set(episode.outcome.sub_scores)
    assert not missing, f"sub-scores lack {missing}"
    assert 1 <= episode.length <= task.max_steps
    env.close()


def task_knows_the_noise_of_all_it_shows(name: str) -> None:
    """What its sensors are said to do fits its observations and actions."""
    task = registry.task(name)
    for kind in task.obs_kinds:
        for control in task.controls:
            obs_noise = task.obs_noise_of(kind, control)
            if obs_noise is None:
                continue
            env = task.make_env(obs_kind=kind, control=control)
            seen, done = env.observation_space.shape, env.action_space.shape
            env.close()
            assert seen is not None
            assert done is not None
            assert np.shape(obs_noise.noise) == seen, f"noise of {kind!r}"
            assert np.shape(obs_noise.follows) == (*done, *seen), f"follows of {kind!r}"
            assert (np.asarray(obs_noise.noise) >= 0).all(), (
                f"noise of {kind!r} below 0"
            )
            assert np.isfinite(obs_noise.follows).all(), f"follows of {kind!r}"


TASK_CHECKS = (
    task_is_a_gymnasium_environment,
    task_repeats_itself,
    task_gives_fresh_observations,
    task_scores_an_episode,
    task_knows_the_noise_of_all_it_shows,
)


def _made_up(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ends = np.array([40, 90, 130])
    obs = rng.normal(size=(130, OBS_DIM)).cumsum(0)
    actions = np.stack([obs[:, 0] * 3 + 100, -obs[:, 1]], axis=1)
    return obs.astype(np.float32), actions.astype(np.float32), ends


def _fresh(name: str, seed: int = 0) -> Any:
    """An untrained, unfitted policy with its smoke settings."""
    import torch

    from dp_bench.presets import preset

    method = registry.method(name)
    settings = preset(method, "*", "smoke").policy
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cls = references.load(method.policy)
        return cls(settings, obs_dim=OBS_DIM, action_dim=ACTION_DIM).eval()


@functools.cache
def _fitted_state(name: str) -> dict[str, Any]:
    import torch

    policy = _fresh(name)
    obs, actions, _ = _made_up()
    generator = torch.Generator().manual_seed(0)
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), generator)
    return policy.state_dict()


def _fitted(name: str) -> Any:
    policy = _fresh(name)
    policy.load_state_dict(_fitted_state(name))
    return policy


def _histories(policy: Any, lanes: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (lanes, policy.horizons.obs, OBS_DIM)
    return rng.normal(size=shape).astype(np.float32)


def policy_actions_have_the_executed_shape(name: str, folder: Path) -> None:
    """`act` gives finite `(B, Ta, Da)`."""
    policy = _fitted(name)
    policy.reset(range(3))
    actions = policy.act(_histories(policy, 3))
    assert actions.shape == (3, policy.horizons.action, ACTION_DIM), actions.shape
    assert np.isfinite(actions).all()


def policy_checkpoint_carries_everything(name: str, folder: Path) -> None:
    """A fresh policy with the loaded state acts identically."""
    from dp_bench.util.tensors import load_tensors, save_tensors

    policy, other = _fitted(name), _fresh(name, seed=1)
    save_tensors(folder / "policy.safetensors", policy.state_dict(), {})
    other.load_state_dict(load_tensors(folder / "policy.safetensors")[0])
    obs = _histories(policy, 2)
    for each in (policy, other):
        each.reset([5, 6])
    assert np.array_equal(policy.act(obs), other.act(obs)), "the copy acts differently"


def policy_leaves_the_global_generators_alone(name: str, folder: Path) -> None:
    """Loss and sampling draw from what they are given, and from nothing else."""
    import torch

    policy = _fitted(name)
    torch_before = torch.random.get_rng_state()
    numpy_before = _numpy_key()
    policy.reset([0])
    policy.act(_histories(policy, 1))
    _loss_of_one_batch(policy)
    assert torch.equal(torch_before, torch.random.get_rng_state()), "torch's moved"
    after = _numpy_key()
    assert np.array_equal(numpy_before, after), "numpy's moved"


def policy_repeats_itself(name: str, folder: Path) -> None:
    """The k-th decision of an episode depends on its env seed, not on other lanes."""
    policy = _fitted(name)
    obs = _histories(policy, 4)

    def decisions(env_seeds: list[int], rows: list[int]) -> np.ndarray:
        policy.reset(env_seeds)
        return np.stack([policy.act(obs[rows]) for _ in range(2)])

    one = decisions([7, 8, 9, 10], [0, 1, 2, 3])
    assert np.array_equal(one, decisions([7, 8, 9, 10], [0, 1, 2, 3])), "not repeatable"
    other = decisions([1, 2, 9, 3], [3, 0, 2, 1])
    scale = np.ptp(one) + 1e-6
    apart = np.abs(one[:, 2] - other[:, 2]).max() / scale
    assert apart < 1e-4, f"other lanes moved a decision by {apart:.1e} of the range"


def policy_restarts_one_lane(name: str, folder: Path) -> None:
    """A lane that begins a new episode forgets the old one; the others do not."""
    policy = _fitted(name)
    obs = _histories(policy, 2)
    policy.reset([7, 8])
    apart = [policy.act(obs) for _ in range(3)]
    policy.reset([7, 9])
    policy.act(obs)
    policy.restart(1, 8)
    later = [policy.act(obs) for _ in range(2)]
    scale = np.ptp(apart) + 1e-6
    kept = np.abs(later[0][0] - apart[1][0]).max() / scale
    assert kept < 1e-4, f"restarting a lane moved another by {kept:.1e} of the range"
    for k in range(2):
        gap = np.abs(later[k][1] - apart[k][1]).max() / scale
        assert gap < 1e-4, f"a restarted lane is {gap:.1e} of the range off a fresh one"


def policy_learns_one_batch_by_heart(name: str, folder: Path) -> None:
    """Its loss falls on one batch, and gradients reach every parameter."""
    import torch

    policy = _fitted(name).train()
    policy.zero_grad()
    began = _one_loss(policy)
    began.backward()
    dead = [
        n
        for n, p in policy.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().any())
    ]
    assert not dead, f"no gradient reaches {dead}"
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = _one_loss(policy)
        loss.backward()
        optimizer.step()
    first, last = began.item(), loss.item()
    assert last < first - 0.3 * abs(first), (
        f"the loss on one batch went from {first:.3f} to {last:.3f} only"
    )


def policy_settings_survive_json(name: str, folder: Path) -> None:
    """Settings are plain data: to JSON and back they are the same."""
    from dp_bench.util import settings

    config = _fresh(name).config
    assert dataclasses.is_dataclass(config)
    assert not isinstance(config, type)
    assert settings.from_json(type(config), settings.to_json(config)) == config


def _numpy_key() -> np.ndarray:
    return np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002


def _one_loss(policy: Any) -> Any:
    """As in training, where dropout draws from a generator that is put back."""
    import torch

    with torch.random.fork_rng(devices=[]):
        return _loss_of_one_batch(policy)


def _loss_of_one_batch(policy: Any) -> Any:
    import torch

    from dp_bench.training.loop import Batches

    data = _made_up()
    batches = Batches(
        policy, *data, batch_size=16, train_seed=0, device=torch.device("cpu")
    )
    return policy.loss(*batches.at(0), torch.Generator().manual_seed(0))


POLICY_CHECKS = (
    policy_actions_have_the_executed_shape,
    policy_checkpoint_carries_everything,
    policy_leaves_the_global_generators_alone,
    policy_repeats_itself,
    policy_restarts_one_lane,
    policy_learns_one_batch_by_heart,
    policy_settings_survive_json,
)
