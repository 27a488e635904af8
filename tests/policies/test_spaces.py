"""An agent refuses observations and actions that do not fit its environment."""

import types

import gymnasium as gym
import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.rollout import play_group
from dp_bench.horizons import Horizons
from dp_bench.policies.agent import Agent
from dp_bench.task import Outcome


class Table(gym.Env):
    """Takes targets on a table, as PushT does."""

    observation_space = gym.spaces.Box(0, 512, (5,))

    def __init__(self, low=0.0, high=512.0, size=2):
        self.action_space = gym.spaces.Box(low, high, (size,))


class Says:
    """Always gives one chunk of actions `(Ta, Da)`."""

    horizons = Horizons(1, 1, 1)

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def reset(self, env_seeds):
        pass

    def act(self, obs, lanes=None):
        return np.array([self.chunks.pop(0)])


OBS = np.zeros(5, np.float32)


@pytest.mark.parametrize("action", [[-0.4, 0], [512.3, 256], [-500, 1000]])
def test_an_action_slightly_outside_is_passed_on_unchanged(action):
    agent = Agent(Says([action]))
    agent.reset(0, Table())
    assert agent.act(OBS).tolist() == action


@pytest.mark.parametrize("action", [[-513, 0], [256, 1025.0], [0, -1e9]])
def test_an_action_far_outside_is_refused_with_the_space(action):
    agent = Agent(Says([action]))
    agent.reset(0, Table())
    message = r"Says\.act returned the action \[.*far outside.*Box\(0\.0, 512"
    with pytest.raises(BadInput, match=message):
        agent.act(OBS)


def test_pixels_do_not_pass_for_velocities():
    agent = Agent(Says([[256.0, 256.0]]))
    agent.reset(0, Table(-1.0, 1.0))
    with pytest.raises(BadInput, match="control mode mean the same"):
        agent.act(OBS)


def test_an_unbounded_space_takes_every_action():
    agent = Agent(Says([[1e9, -1e9]]))
    agent.reset(0, Table(-np.inf, np.inf))
    assert agent.act(OBS).tolist() == [1e9, -1e9]


def test_an_action_of_another_size_is_refused():
    agent = Agent(Says([[1.0]]))
    agent.reset(0, Table())
    with pytest.raises(BadInput, match=r"actions of shape \(1,\).*takes \(2,\)"):
        agent.act(OBS)
    agent = Agent(Says([[1.0, 2.0]], [[1.0]]))  # would fill two numbers with one
    agent.reset(0)
    agent.act(OBS)
    with pytest.raises(BadInput, match="actions of 1 numbers after actions of 2"):
        agent.act(OBS)
    agent = Agent(Says([["left"]]))
    agent.reset(0)
    with pytest.raises(BadInput, match="must return numbers"):
        agent.act(OBS)


def test_an_observation_of_another_shape_is_refused():
    agent = Agent(Says([[1.0, 2.0]], [[1.0, 2.0]]))
    agent.reset(0, Table())
    with pytest.raises(BadInput, match=r"shape \(20,\).*shows \(5,\)"):
        agent.act(np.zeros(20))
    agent.reset(0)
    agent.act(OBS)
    with pytest.raises(BadInput, match=r"shape \(1,\) after.*shape \(5,\)"):
        agent.act(np.zeros(1))  # would fill five numbers with one


@pytest.mark.parametrize("seed", [0, [0, 1]])
@pytest.mark.parametrize(
    ("obs", "message"),
    [({"image": OBS, "agent_pos": OBS}, "dictionary with 'image', 'agent_pos'"),
     ("left", "one array of numbers"), (None, "one array of numbers"),
     ((OBS, OBS[:2]), "one array of numbers")],
)  # fmt: skip
def test_an_observation_that_is_no_array_is_refused(obs, message, seed):
    agent = Agent(Says([[1.0, 2.0]]))
    agent.reset(seed)
    with pytest.raises(BadInput, match=message):
        agent.act(obs)


PARTS = {"image": OBS, "agent_pos": OBS[:2]}
LANES = {
    "list": [PARTS, PARTS], "tuple": (PARTS, PARTS),
    "array": np.array([PARTS, PARTS]), "mixed": [OBS, PARTS],
    "mappings": [types.MappingProxyType(PARTS)] * 2,
}  # fmt: skip


@pytest.mark.parametrize("obs", LANES.values(), ids=LANES)
def test_a_dictionary_in_each_lane_is_refused_by_its_keys(obs):
    agent = Agent(Says([[1.0, 2.0]]))
    agent.reset([0, 1])
    message = "^agent.act was given a dictionary with 'image', 'agent_pos' in a lane; a"
    with pytest.raises(BadInput, match=message) as caught:
        agent.act(obs)
    assert "\n" not in str(caught.value)


class Shows(gym.Env):
    """Shows what its space holds, whatever it is."""

    action_space = gym.spaces.Box(0, 512, (2,))

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}


BOX = gym.spaces.Box(-1, 1, (5,))
SPACES = {
    "dictionary with 'a', 'b'": gym.spaces.Dict({"a": BOX, "b": BOX}),
    "tuple of 2 parts": gym.spaces.Tuple([BOX, BOX]),
}


@pytest.mark.parametrize(("message", "space"), SPACES.items(), ids=["dict", "tuple"])
def test_environments_that_show_several_arrays_are_refused(message, space):
    """In one environment, in lanes, in a vector, and in the benchmark's rollouts."""
    agent = Agent(Says())
    envs = [Shows(space), Shows(space)]
    vector = gym.vector.SyncVectorEnv([lambda: Shows(space)] * 2)
    for seed, env, obs in (
        (0, envs[0], envs[0].reset()[0]),
        ([0, 1], envs, [env.reset()[0] for env in envs]),
        ([0, 1], vector, vector.reset()[0]),
    ):
        agent.reset(seed, env)
        with pytest.raises(
            BadInput, match=f"agent.act was given a {message}"
        ) as caught:
            agent.act(obs)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=f"Shows.* returned a {message}"):
        play_group(Says(), envs, [0, 1], lambda r, i: Outcome(0, False, {}))


def test_lanes_must_have_the_same_spaces():
    with pytest.raises(BadInput, match="lane 1 has the spaces"):
        Agent(Says()).reset([0, 1], [Table(), Table(-1, 1)])


def test_a_rollout_refuses_an_observation_that_changes_its_shape():
    class Shrinks:
        def reset(self, *, seed):
            return np.zeros(5), {}

        def step(self, action):
            return np.zeros(1), 0.0, False, False, {}

    with pytest.raises(BadInput, match=r"shape \(1,\) after.*\(5,\)"):
        play_group(
            Says([[1.0]], [[1.0]]), [Shrinks()], [0], lambda r, i: Outcome(0, False, {})
        )
