"""The measure of copying, on policies whose answer is known."""

import math

import numpy as np
import pytest
import torch

from dp_bench.baselines.lstm_gmm import LstmGmm, LstmGmmConfig
from dp_bench.horizons import Horizons
from dp_bench.policies.base import Policy
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.obs_spec import ObsSpec
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.policies.vision.encoder import Encoder
from dp_bench.task import MotionColumns
from dp_bench.training.batches import Batches
from dp_bench.training.copying import measure_copying
from dp_bench.training.log import read_log
from made_up_training import fresh, trained, walks

MOTION = MotionColumns(((1, 3),), actions=(0, 2))


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
    return measure_copying(policy.eval(), batches, **given)


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


def test_all_positions_of_the_robot_turn():
    """A policy that reads its movement from the second one copies as much."""

    class Second(Following):
        def predict(self, obs, generators):
            return super().predict(obs[..., [0, 3, 4]], generators)

    config = UnetDiffusionConfig(horizons=Horizons(2, 4, 8))
    policy = Second(config, obs_dim=5, action_dim=2)
    policy.share = 0.7
    whole = policy.obs_normalizer

    def inverse(part):
        return (part - whole.offset[[0, 3, 4]]) / whole.scale[[0, 3, 4]]

    whole.inverse = inverse
    both = MotionColumns(((1, 3), (3, 5)), actions=(0, 2))
    # each has a movement of its own, and all of them turn by the same angle
    assert measured(policy, both) == pytest.approx(0.7, abs=0.05)
    first = MotionColumns(((1, 3),), actions=(0, 2))
    assert measured(policy, first) == pytest.approx(0.0, abs=1e-3)


def test_a_policy_that_looks_is_measured_by_its_vectors():
    """Images stay as they are, and the positions beside them turn."""
    spec = ObsSpec({"image": (32, 32, 3)}, {"hand": 2})

    class Copies(Policy):
        config_class = UnetDiffusionConfig

        def predict(self, obs, generators):
            hands = self.obs_normalizer.inverse(obs[..., -2:])
            moves = self.action_normalizer(hands[:, -1] - hands[:, -2])
            return moves[:, None].expand(-1, self.horizons.prediction, -1)

    vision = VisionConfig(encoder="cnn", keypoints=8, features=16)
    encoder = Encoder(vision, spec)
    config = UnetDiffusionConfig(horizons=Horizons(2, 4, 8))
    policy = Copies(config, obs_dim=encoder.features, action_dim=2)
    policy.see_with(encoder)
    rng = np.random.default_rng(0)
    hands = rng.normal(size=(40, 2)).cumsum(0).astype(np.float32)
    actions = rng.uniform(-99, 99, (40, 2)).astype(np.float32)
    obs = {"image": rng.integers(0, 256, (40, 32, 32, 3), np.uint8), "hand": hands}
    policy.fit(torch.as_tensor(hands), torch.as_tensor(actions), torch.Generator())
    batches = Batches(
        policy, obs, actions, np.array([40]), batch_size=8, train_seed=0,
        device=torch.device("cpu"),
    )  # fmt: skip
    motion = MotionColumns(((0, 2),), actions=(0, 2))
    given = {"obs": obs, "motion": motion, "control": "velocity"}
    measure = measure_copying(policy.eval(), batches, **given)
    assert measure == pytest.approx(1.0, abs=1e-3)


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
    assert measure_copying(policy.eval(), batches, **given) is None


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
    motion = MotionColumns(((0, 3),), actions=(0, 3))
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


def test_a_policy_that_has_just_forgotten_has_nothing_to_copy():
    class Forgets(LstmGmm):
        def predict_from(self, obs, generators, memory):
            kept = [0 if m is None else m for m in memory]
            memory[:] = [None if m == 2 else m + 1 for m in kept]  # every three steps
            return torch.zeros(len(obs), 1, 2)

    config = LstmGmmConfig(horizons=Horizons(1, 1, 4), reset_every=3, hidden=4)
    assert measured(Forgets(config, obs_dim=3, action_dim=2)) is None


def test_the_log_has_it_at_the_end_and_at_a_pause(tmp_path):
    def copied(policy, batches):
        assert len(batches)
        assert not policy.training
        return 0.25

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
    _, log = trained(tmp_path / "c", fresh(), held_back=None, copying=copied)
    assert [line.copying for line in log] == [None] * 6
    _, log = trained(tmp_path / "d", fresh(), copying=lambda *_: math.nan)
    assert log[-1].copying is None
