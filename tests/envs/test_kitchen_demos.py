"""Kitchen: human demonstrations, Minari's data sets and the published layout."""

import dataclasses
import re
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import readers, store
from dp_bench.data.hdf5 import save
from dp_bench.data.replay import replay
from dp_bench.envs.scores import ELEMENTS
from dp_bench.errors import BadInput

pytest.importorskip(
    "gymnasium_robotics", reason="needs gymnasium-robotics: 'dp-bench[kitchen]'"
)
from dp_bench.envs.kitchen.demos import (
    demos_from_arrays,
    from_published,
    to_published,
)
from dp_bench.envs.kitchen.env import CONTROLS
from dp_bench.envs.kitchen.features import features
from dp_bench.envs.kitchen.franka import DQ, NOISY_JOINTS, ORDER, STATE_SIZE, Q
from dp_bench.envs.kitchen.observations import positions
from kitchen_states import with_done
from made_up import demonstrations


@pytest.fixture(scope="module")
def human_file(shared):
    return shared / "data" / "kitchen" / "kitchen_complete_19ep.npz"


@pytest.fixture(scope="module")
def human(human_file):
    return readers.read(human_file, registry.task("kitchen"), "complete-v2")


def test_the_reader_finds_the_episodes_scores_and_noise_of_human_demonstrations(human):
    assert (human.num_episodes, len(human.actions)) == (19, 4209)
    assert (human.scores == 1).all()
    assert (human.notes["sequence"] == 6734).all()  # microwave, kettle, switch, slide
    assert human.rewards.sum() == 76
    full = human.obs["full"]
    np.testing.assert_array_equal(positions(full), human.obs["qpos"])
    # 0.01 times 0.1 rad of noise is in the observations, and not in the states
    noise = np.abs(human.states[:, :9] - human.states[:, NOISY_JOINTS])
    assert 0.00095 < noise.max() < 0.00101
    begins = [0, *human.episode_ends[:-1]]
    start = with_done()[Q]
    np.testing.assert_allclose(human.states[begins, :9], [start[:9]] * 19, 0, 1e-6)


@pytest.mark.parametrize(
    "control",
    [
        pytest.param(c, marks=pytest.mark.slow) if c == "position" else c
        for c in CONTROLS
    ],
)
def test_replays_of_human_demonstrations_do_73_of_their_76_elements(human, control):
    report = replay(human, registry.task("kitchen"), control=control)
    assert report.noted["elements done"].sum() == 76
    assert report.columns["elements done"].sum() >= 73
    assert report.deviation.max() < 0.002
    assert np.median(report.drift) < {"velocity": 0.1, "position": 0.02}[control]


def test_demos_check_reports_what_the_conversion_loses(human, tmp_path, capsys):
    save(human.select([0, 14]), tmp_path / "two.hdf5")
    main(["demos", "check", str(tmp_path / "two.hdf5"), "--control", "position"])
    output = capsys.readouterr().out
    assert output.count("8 recorded)") == 2
    assert "as position actions 0 episodes fall short" in output
    assert re.search(r"elements done, in all: \d -> 8\n", output)


def test_noise_other_than_minaris_stays_in_the_states(human):
    rows = human.episode(0)
    observed = human.obs["full"][rows].copy()
    observed[0, :9] += 0.001
    arrays = {"state": observed, "action": human.actions[rows]}
    demos = demos_from_arrays(arrays, human.episode_ends[:1])
    assert "env_seed" not in demos.notes
    assert demos.env_kwargs["noise"] == 0
    np.testing.assert_array_equal(demos.states[:, Q], demos.obs["qpos"])


def test_arrays_of_another_shape_are_refused():
    arrays = {"state": np.zeros((4, 60)), "action": np.zeros((4, 9))}
    with pytest.raises(BadInput, match=r"\(4, 60\), and must have \(4, 59\)"):
        demos_from_arrays(arrays, np.array([4]))


def test_the_published_layout_and_back_loses_nothing():
    obs = np.random.default_rng(0).normal(size=(5, 2, 30)).astype(np.float32)
    padded = to_published(obs)
    assert padded.shape == (5, 2, 60)
    assert padded.dtype == np.float32
    assert not padded[..., 30:].any()
    np.testing.assert_array_equal(from_published(padded), obs)
    with pytest.raises(BadInput, match="60 numbers a row"):
        from_published(obs)
    with pytest.raises(BadInput, match="30 numbers a row"):
        to_published(padded)


@pytest.fixture
def minari_folder(tmp_path, monkeypatch):
    """An empty folder for Minari's data sets; demonstrations go to another one."""
    pytest.importorskip("minari", reason="needs minari: 'dp-bench[kitchen]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DP_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "minari"


def test_the_reader_reads_what_minari_writes(minari_folder, monkeypatch):
    """Minari's own library writes it, and the store finds it there offline."""
    import minari
    from minari.data_collector import EpisodeBuffer

    rng = np.random.default_rng(0)
    observed = [rng.normal(0, 0.1, (length + 1, 59)) for length in [5, 3, *[2] * 9]]
    actions = [rng.uniform(-1, 1, (len(rows) - 1, 9)) for rows in observed]
    episodes = [
        EpisodeBuffer(
            id=k,
            observations={
                "observation": rows,
                "desired_goal": np.zeros((len(rows), 2)),
            },
            actions=done,
            rewards=[0.0] * len(done),
            terminations=[False] * len(done),
            truncations=[False] * len(done),
            infos={},
        )
        for k, (rows, done) in enumerate(zip(observed, actions, strict=True))
    ]
    box = gym.spaces.Box
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Minari asks for an author, and so on
        minari.create_dataset_from_buffers(
            "D4RL/kitchen/complete-v2",
            buffer=episodes,
            observation_space=gym.spaces.Dict(
                observation=box(-9, 9, (59,)), desired_goal=box(-9, 9, (2,))
            ),
            action_space=box(-1, 1, (9,)),
        )
    monkeypatch.setattr(minari, "download_dataset", None)
    demos = store.load_demos("kitchen", path=store.obtain("kitchen", "complete-v2"))
    assert demos.lengths.tolist() == [5, 3, *[2] * 9]
    wanted = np.concatenate([rows[:-1] for rows in observed])
    np.testing.assert_array_equal(demos.obs["full"], np.float32(wanted))
    np.testing.assert_array_equal(demos.actions, np.float32(np.concatenate(actions)))
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


def test_offline_an_error_says_what_else_to_do(minari_folder, monkeypatch):
    import minari

    def fails(*args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(minari, "download_dataset", fails)
    with pytest.raises(
        BadInput, match=r"Name or service.*TASK --source partial-v2 --from"
    ):
        store.obtain("kitchen", "partial-v2")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(BadInput, match=r"pip install 'minari\[hf\]', or get the file"):
        store.obtain("kitchen", "mixed-v2")


def test_features_hold_elements_their_order_and_the_speed_of_the_arm():
    made = demonstrations("kitchen", lengths=(6, 5))
    states = np.zeros((11, STATE_SIZE))
    kettle, microwave = ELEMENTS.index("kettle"), ELEMENTS.index("microwave")
    order = states[:, ORDER]
    order[2:6, kettle] = 1  # in the first episode, after two steps
    order[5:6, microwave] = 2  # and three later
    order[9:11, microwave] = 1  # in the second, after three
    speed = states[:, DQ]
    speed[:, 0:2] = 3, 4
    speed[6:, 0:2] = 0.3, 0.4
    by_title = {f.title: f for f in features(dataclasses.replace(made, states=states))}
    assert by_title["element done"].values.tolist() == [kettle, microwave, microwave]
    assert by_title["element done first"].values.tolist() == [kettle, microwave]
    assert by_title["steps from one element to the next"].values.tolist() == [2, 3, 3]
    speeds = by_title["speed of the arm's joints [rad/s]"].values
    np.testing.assert_allclose(speeds, [5.0] * 6 + [0.5] * 5)
    changes = by_title["change of these speeds [rad/s²]"].values
    assert changes.tolist() == [0.0] * 9  # none from one episode to the next


def test_people_did_the_same_four_elements_starting_with_the_microwave(human):
    by_title = {f.title: f for f in features(human)}
    shares = dict(zip(ELEMENTS, by_title["element done"].shares(), strict=True))
    four = ("microwave", "kettle", "light switch", "slide cabinet")
    assert shares == {name: 0.25 if name in four else 0.0 for name in ELEMENTS}
    assert set(by_title["element done first"].values) == {ELEMENTS.index("microwave")}
