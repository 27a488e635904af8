"""An agent whose actor observes a dictionary keeps a history for each key."""

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from dp_bench.errors import BadInput
from dp_bench.horizons import Horizons
from dp_bench.policies.agent import Agent
from made_up_images import IMAGE, Gallery, Visitor, image_of, looked_at


def lane(number, at=0.0):
    return {"camera": image_of(0, number), "at": np.array([at]), "extra": "ignored"}


def by_key(lanes):
    return {key: np.stack([one[key] for one in lanes]) for key in ("camera", "at")}


def played(agent, steps, form):
    """Plays lanes whose observations come as `form` makes them of dictionaries."""
    agent.reset([0, 1])
    return np.array(
        [agent.act(form([lane(k, k), lane(k, 10.0 * k)])) for k in range(steps)]
    )


FORMS = {
    "arrays by key": by_key, "list": list, "tuple": tuple,
    "object array": lambda lanes: np.array(lanes, object),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lanes_may_come_as_arrays_by_key_or_as_dictionaries(form):
    agent = Agent(Visitor(Horizons(2, 3, 6)))
    actions = played(agent, 6, form)
    assert actions[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert actions[:, 1, 0].tolist() == [1, 2, 3, 31, 32, 33]
    last = agent.actor.asked[-1]
    assert last["at"][:, :, 0].tolist() == [[2, 3], [20, 30]]
    assert np.array_equal(last["camera"][1], [image_of(0, 2), image_of(0, 3)])


def test_one_environment_shows_one_dictionary():
    agent, env = Agent(Visitor(Horizons(2, 2, 4))), Gallery()
    obs, _ = env.reset(seed=3)
    agent.reset(3, env)
    for k in range(1, 6):
        action = agent.act(obs)
        assert action.tolist() == [300 + k]
        obs = env.step(action)[0]
    first, second = agent.actor.asked[:2]
    assert first["at"].ravel().tolist() == [300, 300]  # padded with the first one
    assert second["at"].ravel().tolist() == [301, 302]
    assert np.array_equal(first["camera"][0, 0], first["camera"][0, 1])


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_restarted_lanes_see_only_their_own_episode(kind, mode):
    """Images name the seed of their episode; a history must not mix two."""
    seeds = [0, 3]
    envs = kind([lambda: Gallery(length=5), lambda: Gallery(length=7)],
                autoreset_mode=mode)  # fmt: skip
    agent = Agent(Visitor(Horizons(3, 2, 4)))
    obs, _ = envs.reset(seed=seeds)
    agent.reset(seeds, envs)
    ended = 0
    for _ in range(40):
        obs, _, _, truncated, _ = envs.step(agent.act(obs))
        for at in truncated.nonzero()[0]:
            agent.restart(int(at), 1)
            ended += 1
    envs.close()
    assert ended > 6
    for asked in agent.actor.asked:
        numbers = asked["camera"][:, :, 0, 0, 1].astype(int)  # step + 1
        assert (np.diff(numbers) >= 0).all()


def test_the_caller_may_change_its_arrays_afterwards():
    agent = Agent(Visitor(Horizons(2, 1, 2)))
    agent.reset(0)
    obs = lane(0)
    agent.act(obs)
    obs["camera"][:] = 0
    agent.act(lane(1))
    assert np.array_equal(agent.actor.asked[-1]["camera"][0, 0], image_of(0, 0))


@pytest.mark.parametrize("first", [bool, int, np.uint8, np.float16, np.float32])
def test_a_narrow_first_vector_does_not_round_the_later_ones(first):
    agent = Agent(Visitor(Horizons(1, 1, 1)))
    agent.reset(0)
    agent.act({**lane(0), "at": np.ones(1, first)})
    assert agent.act(lane(1, at=0.123456789)) == 1.123456789
    assert agent.actor.asked[-1]["camera"].dtype == np.uint8


OBS = lane(0)
REFUSED = {
    "one array": (np.zeros(5), r"an array of shape \(5,\); the policy observes a dict"),
    "missing key": ({"at": OBS["at"]}, "'at', without 'camera'; the policy observes"),
    "text": ({**OBS, "at": "left"}, "'at': 'left'; a policy needs an array of numbers"),
    "nested": ({**OBS, "at": {"x": 1}}, "'at': {'x': 1}; a policy needs an array"),
    "nothing": (None, "None; the policy observes a dictionary with 'camera', 'at'"),
}  # fmt: skip


@pytest.mark.parametrize(("obs", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("lanes", [None, 2])
def test_what_is_not_the_dictionary_is_refused(obs, message, lanes):
    agent = Agent(Visitor(Horizons(1, 1, 1)))
    agent.reset(0 if lanes is None else [0, 1])
    if lanes and not isinstance(obs, np.ndarray):
        obs = [OBS, obs]
        message = message.partition(";")[0].partition(": {")[0].partition(": '")[0]
    elif lanes:
        message = "the policy observes a dictionary with .camera., .at."
    with pytest.raises(BadInput, match=message) as caught:
        agent.act(obs)
    assert "\n" not in str(caught.value)


def test_other_shapes_and_types_are_refused_by_key():
    large = {**OBS, "camera": np.ones((8, 8, 3), np.uint8)}
    scaled = {**OBS, "camera": np.ones(IMAGE)}
    agent = Agent(Visitor(Horizons(1, 1, 1)))
    agent.reset(0)
    agent.act(OBS)
    with pytest.raises(BadInput, match=r"'camera' of shape \(8, 8, 3\) after .*\(4, 4"):
        agent.act(large)
    agent.reset(0, Gallery())
    with pytest.raises(BadInput, match=r"'camera' of shape \(8, 8, 3\), but .*\(4, 4"):
        agent.act(large)
    with pytest.raises(
        BadInput, match=r"'camera' of shape \(4, 4, 3\) as float64, but"
    ):
        agent.act(scaled)
    agent.reset([0, 1])
    with pytest.raises(
        BadInput, match=r"'camera' of different shapes: \(4, 4, 3\) and"
    ):
        agent.act([OBS, large])
    with pytest.raises(BadInput, match="given 'camera' of 3 lanes"):
        agent.act(by_key([OBS, OBS, OBS]))
    with pytest.raises(BadInput, match="given 'camera' of 1 lanes"):
        agent.act([OBS])


def test_an_actor_without_keys_still_refuses_dictionaries():
    agent = Agent(Visitor(Horizons(1, 1, 1)))
    agent.actor.obs_keys = None
    agent.reset(0)
    with pytest.raises(BadInput, match="a dictionary with 'camera', 'at'"):
        agent.act(OBS)


PAIRS = [(1, 1), (1, 4), (2, 3), (3, 3), (4, 2)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_looks_next_foresees_what_decisions_look_at(pair, mode):
    """Observations show their number in the episode; lanes restart at other times."""

    class Numbered(Gallery):
        def _seen(self, at):
            return {**super()._seen(at), "at": np.array([float(self.number)])}

    envs = SyncVectorEnv(
        [lambda: Numbered(5), lambda: Numbered(8), lambda: Numbered(11)],
        autoreset_mode=mode,
    )
    agent = Agent(Visitor(Horizons(*pair, sum(pair))))
    obs, _ = envs.reset(seed=[0, 1, 2])
    agent.reset([0, 1, 2], envs)
    relevant = looked_at(100, agent.actor.horizons)  # by longer episodes
    answers = set()
    for _ in range(60):
        actions, looks = agent.act(obs), agent.looks_next()
        obs, _, _, ended, _ = envs.step(actions)
        assert looks.tolist() == [n in relevant for n in obs["at"][:, 0]]
        answers |= set(looks.tolist())
        if mode == AutoresetMode.DISABLED and ended.any():
            obs, _ = envs.reset(options={"reset_mask": ended})
        for at in ended.nonzero()[0]:
            agent.restart(int(at), 1)
    assert (False in answers) == (pair[0] < pair[1])


def test_looks_next_of_one_environment_is_one_answer():
    agent = Agent(Visitor(Horizons(1, 3, 3)))
    agent.reset(0)
    answers = []
    for k in range(6):
        agent.act(lane(k))
        answers += agent.looks_next().tolist()
    assert answers == [False, False, True] * 2
