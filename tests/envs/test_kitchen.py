"""Kitchen: the same physics as FrankaKitchen, its score, its human demonstrations."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import readers
from dp_bench.data import store as fetch
from dp_bench.data.demos import save
from dp_bench.data.replay import replay
from dp_bench.envs.scores import ELEMENTS, elements_done, sequence
from dp_bench.errors import BadInput

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen import env as kitchen
from dp_bench.envs.kitchen.env import CONTROLS, DQ, ORDER, SEEN, Kitchen, Q
from dp_bench.envs.kitchen.features import features
from dp_bench.envs.opengl import opengl_works
from made_up import demonstrations

ENV_ID = "dp_bench/Kitchen-v0"
GOALS = kitchen.OBS_ELEMENT_GOALS
PLACES = kitchen.OBS_ELEMENT_INDICES


def velocities(seed, steps=30):
    """Actions that move the arm about."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0, 0.5, (steps, 9)), -1, 1).astype(np.float32)


def states_along(env, actions, **reset):
    """States that actions lead through, the first included."""
    _, info = env.reset(**reset)
    return np.array(
        [info["state"], *(env.step(action)[-1]["state"] for action in actions)]
    )


def with_done(*names):
    """The start, but with elements where they shall be."""
    state = Kitchen(noise=0).reset()[1]["state"]
    for name in names:
        state[PLACES[name]] = GOALS[name]
    return state


@pytest.fixture(scope="module")
def human_file(shared):
    return shared / "data" / "kitchen" / "kitchen_complete_19ep.npz"


@pytest.fixture(scope="module")
def human(human_file):
    return readers.read(human_file, registry.task("kitchen"), "complete-v2")


# ---------------------------------------------------------------- physics


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_moves_and_sees_as_franka_kitchen(noise):
    """To the last bit, once both solvers start each step afresh."""
    theirs = kitchen.KitchenEnv(robot_noise_ratio=noise, object_noise_ratio=noise)
    ours = Kitchen(obs="full", noise=noise)
    seen, _ = theirs.reset(seed=5)
    obs, _ = ours.reset(seed=5)
    for action in velocities(0, 40):
        np.testing.assert_array_equal(obs, np.float32(seen["observation"]))
        theirs.data.qacc_warmstart[:] = 0
        seen = theirs.step(action)[0]
        obs, _, _, _, info = ours.step(action)
        np.testing.assert_array_equal(info["state"][Q], theirs.data.qpos)
        assert not np.array_equal(info["state"][SEEN], obs[:9]) or noise == 0


def test_targets_that_velocities_mean_lead_where_velocities_lead():
    """Also beyond the limits of the joints, in which both modes keep their targets."""
    moved = states_along(Kitchen(), 2 * velocities(1, 50), seed=3)
    aims = kitchen.joint_targets(moved[:-1, SEEN], 2 * velocities(1, 50))
    by_position = states_along(Kitchen(control="position"), aims, seed=3)
    np.testing.assert_array_equal(by_position, moved)


def test_a_joint_goes_as_far_as_its_velocity_brings_it():
    """A seventh joint, which carries little, follows most of the way."""
    action = np.zeros(9, np.float32)
    action[6] = -0.5
    states = states_along(Kitchen(noise=0), [action] * 12)
    way = np.diff(states[4:, 6])
    np.testing.assert_allclose(way, way.mean(), rtol=0.1)
    assert -0.08 < way.mean() < -0.04  # of the 0.08 rad asked for


def test_equal_states_go_on_equally_whatever_came_before():
    actions = velocities(2, 40)
    env = Kitchen(noise=0)
    whole = states_along(env, actions)
    assert np.ptp(whole[:, :9], axis=0).max() > 0.3
    used = Kitchen(noise=0)
    states_along(used, velocities(3))
    for i in (0, 7, 25):
        rest = states_along(used, actions[i:], options={"state": whole[i]})
        np.testing.assert_array_equal(rest, whole[i:])


@pytest.mark.parametrize("control", CONTROLS)
def test_same_seed_and_actions_give_the_same_episode(control):
    def episode(env, seed):
        obs, _ = env.reset(seed=seed)
        env.action_space.seed(0)
        return [obs, *(env.step(env.action_space.sample())[0] for _ in range(10))]

    env = Kitchen(control=control)
    one, other = episode(env, 1), episode(env, 2)
    np.testing.assert_array_equal(one, episode(Kitchen(control=control), 1))
    assert not np.array_equal(one[0], other[0])


def test_resets_without_a_seed_vary_and_can_be_repeated():
    env = Kitchen()
    env.reset(seed=7)
    some = [env.reset()[0] for _ in range(3)]
    assert not np.array_equal(some[0], some[1])
    env.reset(seed=7)
    np.testing.assert_array_equal(some, [env.reset()[0] for _ in range(3)])


def test_noise_is_as_large_as_its_ratio_says():
    """0.1 times 0.1 rad for joints, and nothing that moves objects about."""
    start = with_done()
    env = Kitchen(noise=0.1)
    obs = np.array([env.reset(seed=s)[0] for s in range(200)])
    off = np.abs(obs - start[Q])
    assert 0.0098 < off[:, :9].max() <= 0.0101
    assert 0 < off[:, 9:].max() <= 0.0101
    assert (
        np.ptp([env.reset(seed=s)[1]["state"][Q] for s in range(3)], axis=0).max() == 0
    )


def test_noise_that_is_added_leaves_the_targets_where_they_were():
    """Whatever the sensors say in training, a demonstration leads where it led."""
    rng = np.random.default_rng(0)
    seen = rng.uniform(-0.1, 0.1, (40, 59))
    velocities = rng.uniform(-0.3, 0.3, (40, 9))
    for obs_kind in ("full", "qpos"):
        noise, follows = kitchen.obs_noise(obs_kind, "velocity")
        off = noise * rng.uniform(-1, 1, (40, len(noise)))
        before = kitchen.joint_targets(seen[:, :9], velocities)
        after = kitchen.joint_targets(
            seen[:, :9] + off[:, :9], velocities + off @ follows.T
        )
        np.testing.assert_allclose(after, before, atol=1e-12)
        assert np.abs(off[:, :7]).max() > 0.009  # the tests' noise: 0.1 of 0.1 rad
        assert not kitchen.obs_noise(obs_kind, "position").follows.any()


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (it is what is checked)
    env = Kitchen()
    env.reset(seed=1)
    env.step(np.zeros(9))
    env.reset()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# ---------------------------------------------------------------- elements and score


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_at_its_goal_is_the_only_one_that_is_done(name):
    np.testing.assert_array_equal(
        kitchen.at_goal(with_done(name)[Q]), [each == name for each in ELEMENTS]
    )


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_is_done_when_it_is_nearer_than_three_tenths(name):
    state = with_done(name)
    for off, near in ((0.299, True), (0.301, False)):
        q = state[Q].copy()
        q[PLACES[name][-1]] += off
        assert kitchen.at_goal(q)[ELEMENTS.index(name)] == near
    rows = np.tile(state[Q], (2, 3, 1))
    assert kitchen.at_goal(rows).shape == (2, 3, 7)


def test_done_stays_done_in_the_order_in_which_it_was_done():
    env = Kitchen(noise=0)
    env.reset(options={"state": with_done("microwave")})
    _, reward, _, _, info = env.step(np.zeros(9))
    assert reward == 1
    assert info["order"].tolist() == [0, 0, 0, 0, 0, 1, 0]
    state = info["state"]
    state[PLACES["microwave"]] = 0  # shut again
    state[PLACES["slide cabinet"]] = GOALS["slide cabinet"]
    env.reset(options={"state": state})
    _, reward, _, _, info = env.step(np.zeros(9))
    assert reward == 1
    assert info["order"].tolist() == [0, 0, 0, 2, 0, 1, 0]
    assert info["done"].tolist() == [False, False, False, True, False, True, False]
    _, reward, *_ = env.step(np.zeros(9))
    assert reward == 0


def test_four_elements_are_a_success_and_seven_the_end():
    env = Kitchen(noise=0)
    state = with_done()
    for done, success, end in ((3, False, False), (4, True, False), (7, True, True)):
        state[ORDER] = [*range(1, done + 1), *[0] * (7 - done)]
        env.reset(options={"state": state})
        _, _, terminated, _, info = env.step(np.zeros(9))
        assert (info["success"], terminated) == (success, end)


@pytest.mark.parametrize(
    ("order", "score", "digits"),
    [
        ([0, 0, 0, 0, 0, 0, 0], 0, 0),
        ([0, 0, 0, 0, 0, 1, 2], 0.5, 67),
        ([0, 0, 3, 4, 0, 1, 2], 1, 6734),
        ([5, 0, 3, 4, 0, 1, 2], 1, 67341),
    ],
)
def test_each_of_four_elements_is_worth_a_quarter(order, score, digits):
    outcome = elements_done([0.0], [{"order": np.array(order)}])
    done = np.count_nonzero(order)
    assert outcome.score == score
    assert outcome.success == (done >= 4)
    found = outcome.sub_scores
    assert [found[f"p{k}"] for k in range(1, 8)] == [done >= k for k in range(1, 8)]
    assert [found[name.replace(" ", "_")] for name in ELEMENTS] == np.sign(
        order
    ).tolist()
    assert found["elements"] == done
    assert found["sequence"] == sequence(np.array(order)) == digits
    assert found.get("order") == (float(str(digits)[:4]) if done >= 4 else None)


def test_an_episode_without_steps_has_no_score():
    with pytest.raises(BadInput, match="0 steps"):
        elements_done([], [])


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("obs", ["qpos", "full"])
def test_it_is_a_gymnasium_environment(obs, control, monkeypatch):
    monkeypatch.setitem(Kitchen.metadata, "render_modes", ["rgb_array"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Positions are in rad, as in the demonstrations; policies scale them.
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")
        draws = obs == "qpos" and control == "velocity" and opengl_works()
        env = gym.make(ENV_ID, obs=obs, control=control).unwrapped
        check_env(env, skip_render_check=not draws)


def test_it_vectorises():
    envs = gym.make_vec(ENV_ID, num_envs=3, vectorization_mode="sync")
    with contextlib.closing(envs):
        obs, _ = envs.reset(seed=[4, 5, 4])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert not np.array_equal(obs[0], obs[1])
        *_, infos = envs.step(np.tile(velocities(0, 1), (3, 1)))
        assert infos["state"].shape == (3, 75)
        assert infos["order"].shape == (3, 7)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"obs": "image"}, "no observation 'image'; it has qpos, full"),
        ({"control": "torque"}, "no control mode 'torque'; it has velocity, position"),
        ({"noise": -0.1}, "noise -0.1 must be"),
        ({"render_mode": "ansi"}, "no render mode 'ansi'"),
    ],
)
def test_arguments_that_there_are_not_are_refused(arguments, said):
    with pytest.raises(BadInput, match=said):
        Kitchen(**arguments)


def test_actions_and_states_that_cannot_be_are_refused():
    env = Kitchen()
    with pytest.raises(BadInput, match=r"shape \(9,\), not \(7,\)"):
        env.step(np.zeros(7))
    with pytest.raises(BadInput, match="finite"):
        env.step(np.full(9, np.nan))
    with pytest.raises(BadInput, match=r"shape \(75,\), not \(30,\)"):
        env.reset(options={"state": np.zeros(30)})
    state = with_done()
    for order in ([2, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0, 0]):
        state[ORDER] = order
        with pytest.raises(BadInput, match=r"1, 2, \.\.\. for elements in the order"):
            env.reset(options={"state": state})


def test_without_the_package_one_sentence_names_the_extra(tmp_path):
    code = """
import sys
sys.modules["gymnasium_robotics"] = None
import gymnasium as gym
import dp_bench
gym.make("dp_bench/Kitchen-v0")
"""
    done = python(code, tmp_path)
    last = done.stderr.splitlines()[-1]
    assert "Kitchen needs gymnasium-robotics: pip install 'dp-bench[kitchen]'" in last


# ---------------------------------------------------------------- published layouts


def test_the_published_layout_and_back_loses_nothing():
    obs = np.random.default_rng(0).normal(size=(5, 2, 30)).astype(np.float32)
    padded = kitchen.to_published(obs)
    assert padded.shape == (5, 2, 60)
    assert padded.dtype == np.float32
    assert not padded[..., 30:].any()
    np.testing.assert_array_equal(kitchen.from_published(padded), obs)
    with pytest.raises(BadInput, match="60 numbers a row"):
        kitchen.from_published(obs)
    with pytest.raises(BadInput, match="30 numbers a row"):
        kitchen.to_published(padded)


def test_both_observations_name_the_same_positions():
    both = [Kitchen(obs=obs).reset(seed=2)[0] for obs in ("full", "qpos")]
    np.testing.assert_array_equal(kitchen.positions(both[0]), both[1])


# ---------------------------------------------------------------- demonstrations


def test_human_demonstrations_are_read_as_what_they_are(human):
    assert (human.num_episodes, len(human.actions)) == (19, 4209)
    assert (human.scores == 1).all()
    assert (human.notes["sequence"] == 6734).all()  # microwave, kettle, switch, slide
    assert human.rewards.sum() == 76
    full = human.obs["full"]
    np.testing.assert_array_equal(kitchen.positions(full), human.obs["qpos"])
    # 0.01 times 0.1 rad of noise is in what was seen, and not in the states
    off = np.abs(human.states[:, :9] - human.states[:, SEEN])
    assert 0.00095 < off.max() < 0.00101
    begins = [0, *human.episode_ends[:-1]]
    start = with_done()[Q]
    np.testing.assert_allclose(human.states[begins, :9], [start[:9]] * 19, 0, 1e-6)


@pytest.mark.parametrize("control", CONTROLS)
def test_human_demonstrations_do_73_of_their_76_elements_again(human, control):
    report = replay(human, registry.task("kitchen"), control=control)
    assert report.noted["elements done"].sum() == 76
    assert report.columns["elements done"].sum() >= 73
    assert report.deviation.max() < 0.002
    assert np.median(report.drift) < {"velocity": 0.1, "position": 0.02}[control]


def test_the_command_says_what_the_conversion_loses(human, tmp_path, capsys):
    save(human.select([0, 14]), tmp_path / "two.hdf5")
    main(["demos", "check", str(tmp_path / "two.hdf5"), "--control", "position"])
    said = capsys.readouterr().out
    assert said.count("8 recorded)") == 2
    assert "as position actions 0 episodes fall short" in said
    assert re.search(r"elements done, in all: \d -> 8\n", said)


def test_noise_that_is_not_minaris_is_left_where_it_is(human):
    rows = human.episode(0)
    seen = human.obs["full"][rows].copy()
    seen[0, :9] += 0.001
    arrays = {"state": seen, "action": human.actions[rows]}
    demos = kitchen.demos_from_arrays(arrays, human.episode_ends[:1])
    assert "env_seed" not in demos.notes
    assert demos.env_kwargs["noise"] == 0
    np.testing.assert_array_equal(demos.states[:, Q], demos.obs["qpos"])


def test_arrays_of_another_shape_are_refused():
    arrays = {"state": np.zeros((4, 60)), "action": np.zeros((4, 9))}
    with pytest.raises(BadInput, match=r"\(4, 60\), and must have \(4, 59\)"):
        kitchen.demos_from_arrays(arrays, np.array([4]))


@pytest.fixture
def minari_folder(tmp_path, monkeypatch):
    """Datasets of Minari in a folder of their own, and demonstrations in another."""
    pytest.importorskip("minari", reason="needs minari: 'dp-bench[kitchen]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "minari"


def test_what_minari_has_written_is_what_is_read(minari_folder, monkeypatch):
    """By its own library; and it is fetched from the user's datasets, offline."""
    import minari
    from minari.data_collector import EpisodeBuffer

    rng = np.random.default_rng(0)
    seen = [rng.normal(0, 0.1, (length + 1, 59)) for length in [5, 3, *[2] * 9]]
    done = [rng.uniform(-1, 1, (len(rows) - 1, 9)) for rows in seen]
    episodes = [
        EpisodeBuffer(
            id=k,
            observations={
                "observation": rows,
                "desired_goal": np.zeros((len(rows), 2)),
            },
            actions=actions,
            rewards=[0.0] * len(actions),
            terminations=[False] * len(actions),
            truncations=[False] * len(actions),
            infos={},
        )
        for k, (rows, actions) in enumerate(zip(seen, done, strict=True))
    ]
    box = gym.spaces.Box
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an author, and so on, that are missing
        minari.create_dataset_from_buffers(
            "D4RL/kitchen/complete-v2",
            buffer=episodes,
            observation_space=gym.spaces.Dict(
                observation=box(-9, 9, (59,)), desired_goal=box(-9, 9, (2,))
            ),
            action_space=box(-1, 1, (9,)),
        )
    monkeypatch.setattr(minari, "download_dataset", None)
    demos = fetch.load_demos("kitchen", path=fetch.obtain("kitchen", "complete-v2"))
    assert demos.lengths.tolist() == [5, 3, *[2] * 9]
    wanted = np.concatenate([rows[:-1] for rows in seen])
    np.testing.assert_array_equal(demos.obs["full"], np.float32(wanted))
    np.testing.assert_array_equal(demos.actions, np.float32(np.concatenate(done)))
    file = (
        minari_folder / "D4RL" / "kitchen" / "complete-v2" / "data" / "main_data.hdf5"
    )
    task = registry.task("kitchen")
    for path in (file, file.parent, file.parent.parent):
        assert readers.read(path, task, "complete-v2").digest == demos.digest
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="truncated or damaged"):
        readers.read(file.parent, task, "complete-v2")


def test_offline_one_sentence_says_what_else_to_do(minari_folder, monkeypatch):
    import minari

    def fails(*args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(minari, "download_dataset", fails)
    with pytest.raises(
        BadInput, match=r"Name or service.*TASK --source partial-v2 --from"
    ):
        fetch.obtain("kitchen", "partial-v2")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(BadInput, match=r"pip install 'minari\[hf\]', or get the file"):
        fetch.obtain("kitchen", "mixed-v2")


# ---------------------------------------------------------------- pictures

DRAWING = """
import numpy as np
from dp_bench.envs.kitchen.env import Kitchen

env = Kitchen(render_mode="rgb_array")
env.reset(seed=0)
before = env.render()
state = np.load("done.npy")
env.reset(options={"state": state})
after = env.render()
env.close()
np.savez("pictures.npz", before=before, after=after)
"""

STEPPING = """
import sys
import numpy as np
from dp_bench.envs.kitchen.env import Kitchen
from dp_bench.errors import BadInput

env = Kitchen(render_mode="rgb_array")
env.reset(seed=0)
env.step(np.zeros(9))
print("OpenGL" in sys.modules)
try:
    env.render()
except BadInput as error:
    print(error)
"""


def python(code, folder, **environment):
    """Runs code in a fresh interpreter, where OpenGL has not been chosen yet."""
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MUJOCO_GL")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


def test_a_picture_shows_what_was_done(tmp_path):
    np.save(tmp_path / "done.npy", with_done("kettle", "slide cabinet"))
    for opengl in ("egl", "osmesa"):
        python(DRAWING, tmp_path, MUJOCO_GL=opengl)
        if (tmp_path / "pictures.npz").exists():
            break
    else:
        pytest.skip("needs OpenGL: apt-get install libosmesa6")
    with np.load(tmp_path / "pictures.npz") as file:
        before, after = file["before"].astype(int), file["after"].astype(int)
    assert before.shape == (480, 640, 3)
    assert before.std() > 20
    changed = np.abs(before - after).max(axis=-1) > 30
    assert 0.005 < changed.mean() < 0.5


def test_without_opengl_one_can_step_and_is_told_what_to_install(tmp_path):
    done = python(STEPPING, tmp_path)
    loaded, said = done.stdout.splitlines()
    assert loaded == "False"
    assert "pictures of Kitchen need OpenGL" in said
    assert "apt-get install libosmesa6" in said


def test_traits_tell_elements_their_order_and_how_fast_the_arm_moved():
    made = demonstrations("kitchen", lengths=(6, 5))
    states = np.zeros((11, kitchen.STATE_SIZE))
    kettle, microwave = ELEMENTS.index("kettle"), ELEMENTS.index("microwave")
    order = states[:, ORDER]
    order[2:6, kettle] = 1  # in the first episode, after two steps
    order[5:6, microwave] = 2  # and three later
    order[9:11, microwave] = 1  # in the second, after three
    speed = states[:, DQ]
    speed[:, 0:2] = 3, 4
    speed[6:, 0:2] = 0.3, 0.4
    found = {t.title: t for t in features(dataclasses.replace(made, states=states))}
    assert found["element done"].values.tolist() == [kettle, microwave, microwave]
    assert found["element done first"].values.tolist() == [kettle, microwave]
    assert found["steps from one element to the next"].values.tolist() == [2, 3, 3]
    speeds = found["speed of the arm's joints [rad/s]"].values
    np.testing.assert_allclose(speeds, [5.0] * 6 + [0.5] * 5)
    changes = found["change of these speeds [rad/s²]"].values
    assert changes.tolist() == [0.0] * 9  # none from one episode to the next


def test_people_did_the_same_four_in_one_order(human):
    found = {t.title: t for t in features(human)}
    shares = dict(zip(ELEMENTS, found["element done"].shares(), strict=True))
    four = ("microwave", "kettle", "light switch", "slide cabinet")
    assert shares == {name: 0.25 if name in four else 0.0 for name in ELEMENTS}
    assert set(found["element done first"].values) == {ELEMENTS.index("microwave")}
