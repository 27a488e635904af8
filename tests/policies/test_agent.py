"""An agent in a plain Gymnasium loop does what the benchmark's own rollout does."""

import gymnasium as gym
import numpy as np
import pytest

import dp_bench
from dp_bench.errors import BadInput
from dp_bench.evaluation.rollout import play_group
from dp_bench.horizons import Horizons
from dp_bench.policies.agent import Agent
from dp_bench.runs.folder import RunFolder
from dp_bench.task import Outcome
from made_up import written_run

CHANGES = {
    "obs_kind": "state",
    "policy": {
        "channels": [8, 16], "step_dim": 8, "sample_steps": 2, "sampler": "ddpm",
    },
    "obs_dim": 5,
}  # fmt: skip
STEPS = 20


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return written_run(tmp_path_factory.mktemp("run"), **CHANGES).path


def make():
    return gym.make("dp_bench/PushT-v0", obs="state", max_episode_steps=STEPS)


class Spy(gym.Wrapper):
    """Records the actions it receives."""

    def reset(self, **options):
        self.actions = []
        return super().reset(**options)

    def step(self, action):
        self.actions.append(np.array(action))
        return super().step(action)


def in_a_plain_loop(agent, seed):
    env, actions = make(), []
    obs, _ = env.reset(seed=seed)
    agent.reset(seed, env)
    ended = False
    while not ended:
        actions.append(agent.act(obs))
        obs, _, terminated, truncated, _ = env.step(actions[-1])
        ended = terminated or truncated
    return np.array(actions)


def test_a_plain_loop_gives_the_actions_of_a_rollout(run_folder):
    agent = dp_bench.load_agent(run_folder)
    env = Spy(make())
    score = lambda rewards, infos: Outcome(0.0, False, {})  # noqa: E731
    play_group(RunFolder(run_folder).load_policy(), [env], [7], score)
    actions = in_a_plain_loop(agent, 7)
    assert actions.shape == (STEPS, 2)
    assert np.array_equal(actions, env.actions)
    assert np.array_equal(actions, in_a_plain_loop(agent, 7))  # reset forgets all
    assert not np.array_equal(actions, in_a_plain_loop(agent, 8))


def test_a_vector_environment_gives_each_lane_its_own_episode(run_folder):
    agent = dp_bench.load_agent(run_folder)
    seeds = [7, 8, 9]
    alone = np.stack([in_a_plain_loop(agent, seed) for seed in seeds], axis=1)
    envs = gym.vector.SyncVectorEnv([make] * 3)
    obs, _ = envs.reset(seed=seeds)
    agent.reset(seeds, envs)
    for step in range(STEPS):
        actions = agent.act(obs)
        np.testing.assert_allclose(actions, alone[step], atol=1e-2)  # of 512
        obs = envs.step(actions)[0]
    envs.close()


class Counter:
    """Counts on from the observations; each episode has a thousand of its own."""

    horizons = Horizons(2, 3, 6)

    def reset(self, env_seeds):
        self.base = np.array(env_seeds, float) * 1000

    def restart(self, lane, env_seed):
        self.base[lane] = env_seed * 1000

    def act(self, obs, lanes=None):
        lanes = range(len(self.base)) if lanes is None else lanes
        first = self.base[list(lanes)] + obs[:, :, 0].sum(1)
        return first[:, None, None] + np.arange(3)[:, None]


@pytest.mark.parametrize("when", [1, 2, 3])
def test_restarting_one_lane_leaves_the_others_alone(when):
    def decisions(restart):
        agent = Agent(Counter())
        agent.reset([1, 2], [Slider(), Slider()])
        actions = []
        for step in range(8):
            if restart and step == when:
                agent.restart(1, 5)
            actions.append(agent.act(np.full((2, 1), float(step)))[:, 0])
        return np.array(actions)

    plain, restarted = decisions(False), decisions(True)
    assert np.array_equal(plain[:, 0], restarted[:, 0])
    assert np.array_equal(plain[:when, 1], restarted[:when, 1])
    # the new episode sees its first observation twice, and nothing of the old one
    assert restarted[when, 1] == 5000 + 2 * when
    assert restarted[when + 3, 1] == 5000 + (when + 2) + (when + 3)


def test_the_caller_may_change_observations_and_actions_afterwards():
    agent = Agent(Counter())
    agent.reset(1)
    obs = np.zeros(1)
    first = agent.act(obs)
    first += 99
    obs += 99
    assert agent.act(np.zeros(1))[0] == 1001


def test_wrong_use_is_refused_with_what_to_do():
    agent = Agent(Counter())
    with pytest.raises(BadInput, match=r"call agent\.reset"):
        agent.act(np.zeros(1))
    with pytest.raises(BadInput, match="no lane 0"):
        agent.restart(0, 1)
    agent.reset([1, 2])
    with pytest.raises(BadInput, match="observations of 3 lanes"):
        agent.act(np.zeros((3, 1)))
    with pytest.raises(BadInput, match="no lane 2"):
        agent.restart(2, 1)
    with pytest.raises(BadInput, match=r"agent\.reset\(env_seeds, envs\)"):
        agent.restart(1, 1)
    with pytest.raises(BadInput, match="one env seed, 3"):
        agent.reset(3, [Slider()])
    with pytest.raises(BadInput, match="2 env seeds and one environment"):
        agent.reset([1, 2], make())
    with pytest.raises(BadInput, match="2 env seeds for 3 lanes"):
        agent.reset([1, 2], [Slider()] * 3)
    with pytest.raises(AttributeError):
        dp_bench.load_agents  # noqa: B018


class Slider:
    """A point to be pushed from 0.95 to 0; its first observations may be narrow."""

    def __init__(self, first=np.float64):
        self.first = first

    def reset(self, *, seed=None):
        self.x, self.left = 0.95, 20
        return np.array([1 if self.first is int else self.x], self.first), {}

    def step(self, action):
        self.x, self.left = self.x + np.clip(action[0], -0.1, 0.1), self.left - 1
        return np.array([self.x]), 1 - abs(self.x), False, self.left == 0, {}


class BangBang:
    """Waits one step, then moves to 0; its first action may be narrow."""

    horizons = Horizons(1, 1, 1)

    def __init__(self, first=np.float64):
        self.first, self.seen = first, []

    def reset(self, env_seeds):
        self.seen.clear()

    def act(self, obs, lanes=None):
        self.seen.append(obs[0, 0, 0])
        if len(self.seen) == 1:
            return np.zeros((1, 1, 1), self.first)
        return -obs


def last_reward(rewards, infos):
    return Outcome(float(rewards[-1]), bool(rewards[-1] > 0.95), {})


NARROW = [bool, int, np.uint8, np.float16, np.float32]


@pytest.mark.parametrize("first", NARROW)
def test_a_narrow_first_action_does_not_change_the_score(first):
    episodes = [
        play_group(BangBang(kind), [Slider()], [0], last_reward)[0]
        for kind in (np.float64, first)
    ]
    assert episodes[0].outcome == episodes[1].outcome
    assert episodes[1].outcome.success


@pytest.mark.parametrize("first", NARROW)
def test_a_narrow_first_observation_does_not_round_the_later_ones(first):
    in_rollout, in_loop = BangBang(), BangBang()
    play_group(in_rollout, [Slider(first)], [0], last_reward)
    agent, env = Agent(in_loop), Slider(first)
    obs, _ = env.reset()
    agent.reset(0)
    shown = []
    for _ in range(20):
        shown.append(float(obs[0]))
        obs = env.step(agent.act(obs))[0]
    assert [float(seen) for seen in in_loop.seen] == shown
    assert [float(seen) for seen in in_rollout.seen] == shown
    assert len(set(shown)) > 10


def test_a_narrow_lane_does_not_round_its_neighbour():
    class Reads(Counter):
        def act(self, obs, lanes=None):
            seen.append(obs[:, -1, 0].tolist())
            return super().act(obs, lanes)

    seen = []
    play_group(Reads(), [Slider(int), Slider()], [0, 1], last_reward)
    assert seen[0] == [1.0, 0.95]


def test_number_types_are_kept_where_nothing_is_lost():
    agent, kinds = Agent(BangBang(np.float32)), []
    agent.reset(0)
    for _ in range(3):
        kinds.append(agent.act(np.zeros(1, np.float32)).dtype)
    assert kinds == [np.float32] * 3
