"""An agent plays each episode from its own observations in every autoreset mode."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.agent import Agent

LANES = 3
REACH = 0.1  # how far a step goes at most


class Slide(gym.Env):
    """Slide a point to 0. Episodes of different starts end at different times."""

    action_space = gym.spaces.Box(-REACH, REACH, (1,), np.float64)
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-1, 1, 1)
        self.left = int(self.np_random.integers(11, 15))
        return self.x.copy(), {}

    def step(self, action):
        self.x = np.clip(self.x + np.clip(action, -REACH, REACH), -1, 1)
        self.left -= 1
        return self.x.copy(), 1 - abs(float(self.x[0])), self.left == 0, False, {}


class Planner:
    """Plans the way from the latest observation to 0, without a fault."""

    def __init__(self, obs, action):
        self.horizons = Horizons(obs, action, obs + action)
        self.restarted = []

    def reset(self, env_seeds):
        self.restarted.clear()

    def restart(self, lane, env_seed):
        self.restarted.append((lane, env_seed))

    def act(self, obs, lanes=None):
        x, plan = obs[:, -1], []
        for _ in range(self.horizons.action):
            plan.append(np.clip(-x, -REACH, REACH))
            x = x + plan[-1]
        return np.stack(plan, 1)


def played(envs, agent, episodes=60):
    """Plays as in examples/vector_env.py; returns the last reward of each episode."""
    seeds = list(range(LANES))
    obs, _ = envs.reset(seed=seeds)
    agent.reset(seeds, envs)
    rewards = []
    while len(rewards) < episodes:
        obs, reward, terminated, truncated, _ = envs.step(agent.act(obs))
        for lane in (terminated | truncated).nonzero()[0]:
            rewards.append(reward[lane])
            agent.restart(int(lane), LANES + len(rewards))
    envs.close()
    return rewards


MODES = [None, AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(
    ("kind", "horizons"),
    [
        (SyncVectorEnv, (1, 8)),
        (SyncVectorEnv, (2, 3)),
        (SyncVectorEnv, (1, 1)),
        (AsyncVectorEnv, (1, 8)),
    ],
)
def test_a_perfect_planner_is_perfect_in_every_autoreset_mode(kind, horizons, mode):
    options = {} if mode is None else {"autoreset_mode": mode}
    agent = Agent(Planner(*horizons))
    rewards = played(kind([Slide] * LANES, **options), agent)
    assert min(rewards) == pytest.approx(1)
    seeds = [seed for _, seed in agent.actor.restarted]
    assert sorted(seeds) == list(range(LANES + 1, LANES + 1 + len(seeds)))


def test_all_lanes_may_end_in_the_same_step():
    def make():
        return TimeLimit(Slide(), 11)

    assert min(played(SyncVectorEnv([make] * LANES), Agent(Planner(1, 8)))) > 0.99


class Steps(Slide):
    """Shows the number of the step; episodes have four."""

    def reset(self, *, seed=None, options=None):
        self.at = 0
        return np.zeros(1), {}

    def step(self, action):
        self.at += 1
        return np.full(1, float(self.at)), 0.0, self.at == 4, False, {}


def seen_in(mode):
    """Plays two episodes; returns what the actor was shown in each decision."""

    class Watcher(Planner):
        def act(self, obs, lanes=None):
            shown.append(obs[0, :, 0].tolist())
            return super().act(obs, lanes)

    shown = []
    agent = Agent(Watcher(2, 3))
    envs = SyncVectorEnv([Steps], autoreset_mode=mode)
    obs, _ = envs.reset(seed=[0])
    agent.reset([0], envs)
    for _ in range(9):
        obs, _, terminated, _, _ = envs.step(agent.act(obs))
        if terminated[0]:
            agent.restart(0, 1)
    return shown


def test_no_decision_sees_an_observation_of_another_episode():
    first = [[0, 0], [2, 3], [0, 0], [2, 3]]
    assert seen_in(AutoresetMode.SAME_STEP) == [*first, [0, 0]]
    assert seen_in(AutoresetMode.NEXT_STEP) == first


def test_a_lane_that_its_user_resets_begins_at_once():
    agent = Agent(Planner(1, 8))
    envs = SyncVectorEnv([Slide] * LANES, autoreset_mode=AutoresetMode.DISABLED)
    obs, _ = envs.reset(seed=[0, 1, 2])
    agent.reset([0, 1, 2], envs)
    rewards = []
    while len(rewards) < 30:
        obs, reward, ended, _, _ = envs.step(agent.act(obs))
        if ended.any():
            rewards += reward[ended].tolist()
            obs, _ = envs.reset(options={"reset_mask": ended})
            for lane in ended.nonzero()[0]:
                agent.restart(int(lane), len(rewards))
    assert min(rewards) == pytest.approx(1)


def test_a_vector_environment_must_declare_its_mode():
    envs = SyncVectorEnv([Slide])
    envs.metadata = {}
    with pytest.raises(BadInput, match="declares the autoreset mode None"):
        Agent(Planner(1, 1)).reset([0], envs)
