"""The measure of copying, on policies whose answer is known."""

import math

import numpy as np
import pytest
import torch

from dp_bench.baselines.lstm_gmm import LstmGmm, LstmGmmConfig
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.task import Motion
from dp_bench.training.batches import Batches
from dp_bench.training.copying import copying
from dp_bench.training.log import read_log
from made_up_training import fresh, trained, walks

MOTION = Motion(((1, 3),), actions=(0, 2))


class Following(Policy):
    """Moves by a mixture of its last movement and of a fixed direction.

    The share of the last movement is `share`; in "position" control an action is the
    position to go to. With `turns` the policy turns as far as that share of the angle.
    """

    config_class = UnetDiffusionConfig
    share, absolute, axes = 1.0, False, 2

    def predict(self, obs, generators):
        units = self.obs_normalizer.inverse(obs)[..., 1 : 1 + self.axes]
        now, last = units[:, -1], units[:, -1] - units[:, -2]
        first, second = last[:, 0], last[:, 1]
        angle = self.share * torch.atan2(second, first)
        move = torch.zeros_like(now)
        move[:, 0], move[:, 1] = angle.cos(), angle.sin()
        actions = (now if self.absolute else 0) + move
        return self.action_normalizer(actions)[:, None].expand(
            -1, self.horizons.prediction, -1
        )


def measured(policy, motion=MOTION, control="velocity", seed=0):
    """Copying of a policy on random walks of three numbers."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(60, policy.obs_dim)).cumsum(0).astype(np.float32)
    actions = rng.uniform(-99, 99, (60, policy.action_dim)).astype(np.float32)
    policy.fit(torch.as_tensor(obs), torch.as_tensor(actions), torch.Generator())
    batches = Batches(
        policy, obs, actions, np.array([60]), batch_size=8, train_seed=0,
        device=torch.device("cpu"),
    )  # fmt: skip
    given = {"obs": obs, "motion": motion, "control": control}
    return copying(policy.eval(), batches, **given)


def following(share, horizons=None, **changes):
    cls = type("Other", (Following,), {"share": share, **changes})
    config = UnetDiffusionConfig(horizons=horizons or Horizons(2, 4, 8))
    return cls(config, obs_dim=3, action_dim=2)


@pytest.mark.parametrize("control", ["velocity", "position"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_it_is_the_share_of_the_angle_that_the_action_follows(share, control):
    policy = following(share, absolute=control == "position")
    assert measured(policy, control=control) == pytest.approx(share, abs=1e-3)


def test_a_policy_that_turns_the_other_way_is_below_zero():
    assert measured(following(-0.5)) == pytest.approx(-0.5, abs=1e-3)


def test_older_movements_turn_with_the_last_one():
    """A longer history turns as one body, so it stays a path that was possible."""

    class Oldest(Following):
        def predict(self, obs, generators):
            return super().predict(obs[:, [0, 2]], generators)

    policy = Oldest(
        UnetDiffusionConfig(horizons=Horizons(3, 1, 4)), obs_dim=3, action_dim=2
    )
    assert measured(policy) == pytest.approx(1.0, abs=1e-3)


def test_a_policy_that_sees_one_observation_has_nothing_to_copy():
    assert measured(following(1.0, Horizons(1, 4, 8))) is None


def test_a_robot_that_never_moves_cannot_be_measured():
    policy = following(1.0)
    obs = np.zeros((60, 3), np.float32)
    policy.fit(torch.as_tensor(obs), torch.randn(60, 2), torch.Generator())
    batches = Batches(
        policy, obs, np.zeros((60, 2), np.float32), np.array([60]), batch_size=8,
        train_seed=0, device=torch.device("cpu"),
    )  # fmt: skip
    given = {"obs": obs, "motion": MOTION, "control": "velocity"}
    assert copying(policy.eval(), batches, **given) is None


def test_in_three_dimensions_the_turn_has_the_same_angle():
    """A policy that repeats its last movement turns with it, in any plane."""

    class Repeats(Policy):
        config_class = UnetDiffusionConfig

        def predict(self, obs, generators):
            units = self.obs_normalizer.inverse(obs)
            moves = self.action_normalizer(units[:, -1] - units[:, -2])
            return moves[:, None].expand(-1, self.horizons.prediction, -1)

    config = UnetDiffusionConfig(horizons=Horizons(2, 4, 8))
    policy = Repeats(config, obs_dim=3, action_dim=3)
    motion = Motion(((0, 3),), actions=(0, 3))
    assert measured(policy, motion) == pytest.approx(1.0, abs=1e-3)


def test_a_recurrent_policy_is_asked_step_by_step():
    """Its last decision counts: it depends on the turn through its memory alone."""

    class Remembers(LstmGmm):
        def predict_from(self, obs, generators, memory):
            now = self.obs_normalizer.inverse(obs)[:, 0, 1:]
            before = [now[i] if m is None else m for i, m in enumerate(memory)]
            last = now - torch.stack(before)
            memory[:] = list(now)
            return self.action_normalizer(last)[:, None]

    config = LstmGmmConfig(horizons=Horizons(1, 1, 4), reset_every=4, hidden=4)
    policy = Remembers(config, obs_dim=3, action_dim=2)
    assert measured(policy) == pytest.approx(1.0, abs=1e-3)


def test_the_log_has_it_at_the_end_and_at_a_pause(tmp_path):
    def copied(policy, batches):
        assert len(batches)
        assert not policy.training
        return math.nan if policy.horizons.obs == 9 else 0.25

    _, log = trained(tmp_path / "a", fresh(), held_back=walks(1), copying=copied)
    assert [line.copying for line in log] == [None] * 5 + [0.25]
    _, log = trained(
        tmp_path / "b",
        fresh(),
        held_back=walks(1),
        copying=copied,
        until=8,
        keep_every=8,
    )
    assert [line.copying for line in log] == [None, 0.25]
    assert len(read_log(tmp_path / "b" / "log.jsonl")) == 2
