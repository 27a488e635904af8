"""Batches: a function of seed and update, in the same order for every method."""

import dataclasses

import numpy as np
import torch

from dp_bench.horizons import Horizons
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.training.batches import Batches
from made_up_training import CONFIG, fresh, walks


def batches_of(policy, data, *, batch_size=8, train_seed=0):
    return Batches(
        policy, *data, batch_size=batch_size, train_seed=train_seed,
        device=torch.device("cpu"),
    )  # fmt: skip


def test_a_batch_depends_on_seed_and_update_alone():
    one, other = batches_of(fresh(), walks()), batches_of(fresh(), walks())
    updates = list(range(3 * one.per_epoch))
    in_order = [one.at(u) for u in updates]
    for u in reversed(updates):
        for a, b in zip(in_order[u], other.at(u), strict=True):
            assert torch.equal(a, b)
    another_seed = batches_of(fresh(), walks(), train_seed=1)
    assert not torch.equal(in_order[0][0], another_seed.at(0)[0])


def test_an_epoch_shows_no_window_twice():
    batches = batches_of(fresh(), walks())
    obs = torch.cat([batches.at(u)[0] for u in range(batches.per_epoch)]).flatten(1)
    assert len(obs) == batches.per_epoch * batches.size
    assert len(torch.unique(obs, dim=0)) == len(obs)


def test_methods_with_other_horizons_meet_the_same_rows_in_the_same_order():
    def presents(horizons):
        config = dataclasses.replace(CONFIG, horizons=horizons)
        with torch.random.fork_rng(devices=[]):
            policy = UnetDiffusion(config, obs_dim=1, action_dim=1)
        rows = np.arange(95.0)[:, None]  # each observation is its own row number
        data = rows, rows, walks()[2]
        batches = batches_of(policy, data, batch_size=1, train_seed=3)
        epoch = [batches.at(u)[0] for u in range(batches.per_epoch)]
        return [int(obs[0, horizons.obs - 1, 0]) for obs in epoch]

    long, short = presents(Horizons(2, 4, 8)), presents(Horizons(3, 1, 4))
    assert len(long) != len(short)
    both = set(long) & set(short)
    assert len(both) > 80
    assert [r for r in long if r in both] == [r for r in short if r in both]


def test_a_batch_may_hold_one_short_episode_alone():
    obs, actions, _ = walks()
    batches = batches_of(fresh(), (obs[:2], actions[:2], np.array([2])))
    seen, done = batches.at(5)
    assert seen.shape == (1, 8, 3)
    rows = [0, 0, 1, 1, 1, 1, 1, 1]
    assert torch.equal(seen[0], batches.obs[rows])
    assert torch.equal(done[0], batches.actions[rows])
