"""Rollouts of policies that observe dictionaries, and which images they need."""

import functools

import gymnasium as gym
import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.rollout import RolloutSpec, groups_of, play, play_group
from dp_bench.horizons import Horizons
from made_up_images import (
    Gallery,
    Visitor,
    image_of,
    looked_at,
    rewards_as_sub_scores,
)

PAIRS = [(1, 1), (1, 8), (2, 1), (2, 3), (2, 8), (3, 2), (3, 3), (8, 3), (4, 9)]
HORIZONS = [Horizons(obs, action, obs + action) for obs, action in PAIRS]
SEEDS = list(range(10))


@pytest.mark.parametrize("horizons", HORIZONS, ids=str)
@pytest.mark.parametrize("lanes", [1, 3])
def test_every_action_answers_the_latest_dictionary_of_its_lane(horizons, lanes):
    for group in groups_of(SEEDS, lanes):
        envs = [Gallery() for _ in group]
        for episode in play_group(
            Visitor(horizons), envs, group, rewards_as_sub_scores
        ):
            length = 5 + episode.env_seed % 7
            expected = 100 * episode.env_seed + np.arange(1, length + 1)
            assert list(episode.outcome.sub_scores.values()) == list(expected)


@pytest.mark.parametrize("horizons", HORIZONS, ids=str)
@pytest.mark.parametrize("lanes", [1, 3, 10])
def test_only_images_that_the_actor_may_look_at_are_drawn(horizons, lanes):
    """Nobody knows beforehand where an episode ends, so a last chunk may draw more."""
    for group in groups_of(SEEDS, lanes):
        envs = [Gallery() for _ in group]
        play_group(Visitor(horizons), envs, group, rewards_as_sub_scores)
        for env, seed in zip(envs, group, strict=True):
            length = 5 + seed % 7
            endless = looked_at(length + 100, horizons)
            assert env.drawn == [n for n in range(length + 1) if n in endless]
            assert looked_at(length, horizons) & set(range(length)) <= set(env.drawn)


def test_few_images_are_drawn_with_long_chunks():
    env = Gallery(length=32)
    play_group(Visitor(Horizons(2, 8, 16)), [env], [3], rewards_as_sub_scores)
    assert env.drawn == [0, 7, 8, 15, 16, 23, 24, 31, 32]


def test_the_history_holds_the_images_of_its_own_observations():
    visitor = Visitor(Horizons(3, 2, 4))
    play_group(visitor, [Gallery(), Gallery()], [4, 5], rewards_as_sub_scores)
    numbers = [(0, 0, 0), (0, 1, 2), (2, 3, 4), (4, 5, 6)]
    for obs, steps in zip(visitor.asked, numbers, strict=False):
        for lane, seed in enumerate([4, 5]):
            expected = [image_of(seed, step) for step in steps]
            assert np.array_equal(obs["camera"][lane], expected)


def test_each_episode_begins_with_a_drawn_image():
    env, visitor = Gallery(), Visitor(Horizons(1, 8, 8))
    for seed in (0, 1):  # the first episode ends between two looks
        play_group(visitor, [env], [seed], rewards_as_sub_scores)
        assert env.drawn[0] == 0


def test_wrapped_environments_draw_only_what_is_looked_at():
    inner = Gallery()
    env = gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(inner), 9)
    play_group(Visitor(Horizons(1, 4, 4)), [env], [6], rewards_as_sub_scores)
    assert inner.drawn == [0, 4, 8]


def test_an_environment_that_always_draws_is_simply_stepped():
    class Plain(gym.Env):
        """Cannot be told anything."""

        def __init__(self):
            self.inner = Gallery()

        def reset(self, **options):
            return self.inner.reset(**options)

        def step(self, action):
            return self.inner.step(action)

    env = Plain()
    play_group(Visitor(Horizons(2, 4, 8)), [env], [6], rewards_as_sub_scores)
    assert env.inner.drawn == list(range(12))
    assert not hasattr(env, "draws_images")


def test_processes_and_lanes_change_no_episode():
    def played(processes, lanes):
        spec = RolloutSpec(
            functools.partial(Visitor, Horizons(2, 3, 6)),
            Gallery,
            "made_up_images:rewards_as_sub_scores",
        )
        groups = groups_of(SEEDS, lanes)
        return [
            episode._replace(decision_latency=0.0)
            for episode in play(spec, groups, processes=processes)
        ]

    alone = played(1, 1)
    assert len({episode.length for episode in alone}) > 1
    assert played(1, 3) == alone
    assert played(2, 1) == alone
    assert played(2, 3) == alone


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused(bad):
    class Broken(Gallery):
        def step(self, action):
            obs, *rest = super().step(action)
            return {**obs, "at": np.array([bad])}, *rest

    with pytest.raises(BadInput, match="not finite"):
        play_group(Visitor(Horizons(2, 2, 4)), [Broken()], [1], rewards_as_sub_scores)


def test_lanes_that_show_other_images_are_refused_by_key():
    class Large(Gallery):
        observation_space = None

        def _seen(self, at):
            return {**super()._seen(at), "camera": np.ones((8, 8, 3), np.uint8)}

    words = r"returned 'camera' of different shapes: \(4, 4, 3\) and \(8, 8, 3\)"
    with pytest.raises(BadInput, match=words):
        play_group(
            Visitor(Horizons(1, 1, 1)),
            [Gallery(), Large()],
            [0, 1],
            rewards_as_sub_scores,
        )


def test_an_environment_without_the_key_is_refused():
    class Blind(Gallery):
        def _seen(self, at):
            obs = super()._seen(at)
            return {"at": obs["at"]}

    words = r"returned a dictionary with 'at', without 'camera'; the policy observes"
    with pytest.raises(BadInput, match=words):
        play_group(Visitor(Horizons(1, 1, 1)), [Blind()], [0], rewards_as_sub_scores)
