"""The picture of two equally good ways: the start, the verdict, the shares."""

import dataclasses
import shutil

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import readers
from dp_bench.envs.push_t import env as push_t
from dp_bench.errors import BadInput
from dp_bench.evaluation import multimodality as modes
from dp_bench.horizons import Horizons
from dp_bench.task import TEST_STARTS, VALIDATION_STARTS

TASK = registry.task("pusht")
FORK = TASK.fork
TINY = [
    *("--set", "policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.updates=2", "training.batch_size=8", "--preset", "smoke"),
    *("--episodes", "1", "--method", "dp_c", "--task", "pusht"),
]


def on_table(*points):
    """Points (across, along) of the block's frame -> x, y on the table, `(L, 2)`."""
    x, y, angle = FORK.start[2:]
    turned = np.array([complex(*p) for p in points]) * np.exp(1j * angle)
    return np.stack([turned.real + x, turned.imag + y], axis=1)


def in_block(path, state):
    """Positions on the table -> (across, along) of the block's frame, `(L, 2)`."""
    points = (path - state[2:4]) @ [1, 1j] * np.exp(-1j * state[4])
    return np.stack([points.real, points.imag], axis=1)


# ---------------------------------------------------------------------- the verdict

AT, LEFT, RIGHT = (0, 201), (-90, 60), (90, 60)


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        pytest.param([AT, LEFT, (-90, -20), (0, -20)], (-1, True), id="left round"),
        pytest.param([AT, RIGHT, (90, -20), (0, -20)], (1, True), id="right round"),
        pytest.param([AT, LEFT, (-50, 80)], (-1, True), id="not round yet"),
        pytest.param([AT, LEFT, (-90, -9), (70, -9)], (-1, True), id="over, behind"),
        pytest.param([AT, LEFT, (-9, 150), RIGHT, (90, -9)], (1, False), id="over"),
        pytest.param([AT, LEFT, RIGHT, LEFT], (-1, False), id="there and back"),
        pytest.param([AT, (29, 150), (-29, 140)], (0, False), id="before the stem"),
        pytest.param([AT], (0, False), id="stands"),
    ],
)
def test_the_way_round_by_hand(points, verdict):
    assert push_t.way_round(on_table(*points), FORK.start) == verdict


def mirrored(points):
    """What the line x + y = 512, the axis of table and outline, makes of points."""
    return push_t.TABLE - np.asarray(points)[..., ::-1]


def test_a_mirrored_path_gets_the_mirrored_verdict():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        path = on_table(AT) + rng.normal(size=(12, 2)).cumsum(axis=0) * 25
        side, committed = push_t.way_round(path, FORK.start)
        seen.add((side, committed))
        assert push_t.way_round(mirrored(path), FORK.start) == (-side, committed)
    assert len(seen) == 5, "both sides with and without commitment, and neither"


# ------------------------------------------------------------------------ the start


def test_left_and_right_of_the_fork_are_mirror_images():
    np.testing.assert_allclose(mirrored(FORK.start[:2]), FORK.start[:2])
    scene = push_t.outlines(FORK.start)
    for name, within in (("block", 1e-9), ("goal", 1e-9), ("table", 1.0)):
        (outline,) = scene[name]
        apart = np.abs(outline[:, None] - mirrored(outline)).max(axis=-1)
        assert apart.min(axis=1).max() <= within, name


def test_the_fork_is_a_start_at_rest_from_which_the_block_must_be_pushed():
    env = TASK.make_env()
    _, info = env.reset(options={"state": FORK.start})
    np.testing.assert_allclose(info["state"], FORK.start)
    for _ in range(3):
        *_, info = env.step(np.array(FORK.start[:2]))
    np.testing.assert_allclose(info["state"], FORK.start)
    assert info["coverage"] < 0.5


def test_people_take_both_ways(shared):
    """Wherever in the demonstrations the finger is before the stem and goes round."""
    file = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not file.exists():
        pytest.skip("needs the replay file")
    found = readers.read(file, TASK, None)
    sides = []
    for end, start in zip(
        found.episode_ends, [0, *found.episode_ends[:-1]], strict=True
    ):
        row = start
        while row < end:
            state, path = found.states[row], found.states[row : min(row + 40, end), :2]
            u, v = in_block(path, state).T
            turned = (state[4] - FORK.start[4] + np.pi) % (2 * np.pi) - np.pi
            before = v[0] > 140 and abs(u[0]) < 30 and abs(turned) < 0.6
            if before and (v < 0).any():
                sides.append(push_t.way_round(path, state)[0])
                row += 40
            row += 1
    assert len(sides) > 30
    assert 1 / 3 < np.mean(np.array(sides) < 0) < 2 / 3


def test_no_start_of_an_evaluation_lends_its_seed():
    seeds = set(range(modes.FIRST_SEED, modes.FIRST_SEED + modes.MOST))
    assert not seeds & {*TEST_STARTS, *VALIDATION_STARTS}


# --------------------------------------------------------------------- rollouts, shares


class Walk:
    """Goes round the block on a side that depends on the seed; one plan in all."""

    horizons = Horizons(1, 40, 40)

    def __init__(self, side_of):
        self.side_of = side_of

    def reset(self, env_seeds):
        self.sides = [self.side_of(seed) for seed in env_seeds]

    def act(self, obs):
        corners = [on_table((s * 110, 110), (s * 110, -60)) for s in self.sides]
        return np.repeat(corners, 20, axis=1)  # (B, 40, 2)


def rollouts(paths, **changes):
    return [
        modes.Rollout(
            **{
                "task": "pusht",
                "method": "bet",
                "preset": "smoke",
                "obs_kind": "keypoints",
                "control": "position",
                "settings": "s",
                "demos_digest": "d",
                "train_seed": 0,
                "step": 7,
                "env_seed": env_seed,
                "start": FORK.start,
                "path": tuple(map(tuple, np.asarray(path).tolist())),
                "commit": "",
                "versions": {},
                **changes,
            }
        )
        for env_seed, path in enumerate(paths)
    ]


def played(side_of, count=20, **env):
    return modes.play(TASK, Walk(side_of), range(count), **env)


@pytest.mark.parametrize(
    ("side_of", "share"),
    [(lambda _: -1, 1), (lambda _: 1, 0), (lambda s: 1 - 2 * (s % 2), 0.5)],
)
def test_shares_are_those_of_the_ways_that_were_taken(side_of, share):
    paths = played(side_of)
    (choice,) = modes.choices(rollouts(paths))
    assert choice.left.value == share
    assert choice.commits.value == 1
    assert choice.left.low <= share <= choice.left.high


def test_undecided_rollouts_count_as_not_committed_and_on_no_side():
    """2 left, 1 right that was left before, 1 neither; Wilson of 2 in 3 by hand."""
    ways = [[AT, LEFT], [AT, LEFT], [AT, LEFT, RIGHT], [AT]]
    (choice,) = modes.choices(rollouts([on_table(*way) for way in ways]))
    assert choice.left[:3] == pytest.approx((2 / 3, 0.2077, 0.9385), abs=1e-4)
    assert choice.commits.value == 0.5
    (nowhere,) = modes.choices(rollouts([on_table(AT)]))
    assert nowhere.left is None


def test_all_rollouts_begin_alike_and_are_as_long_as_the_fork_says():
    paths = played(lambda seed: 1 - 2 * (seed % 2), count=TASK.lanes + 2)
    assert {path.shape for path in paths} == {(FORK.steps + 1, 2)}
    for seed, path in enumerate(paths):
        np.testing.assert_allclose(path[0], FORK.start[:2])
        np.testing.assert_array_equal(path, paths[seed % 2])
    assert np.abs(paths[0] - paths[1]).max() > 100
    np.testing.assert_array_equal(played(lambda _: 1, count=1)[0], paths[0])


def test_the_control_mode_is_that_of_the_run():
    """Two hundred px further each step is the far corner under velocity control."""

    class Push(Walk):
        def act(self, obs):
            return np.full((len(obs), 40, 2), 200.0)

    ends = {
        control: modes.play(TASK, Push(int), [0], control=control)[0][-1]
        for control in ("position", "velocity")
    }
    np.testing.assert_allclose(ends["position"], [200, 200], atol=2)
    assert (ends["velocity"] > 400).all()


def test_runs_of_one_method_are_told_apart_by_what_differs():
    paths = [on_table(AT, LEFT)] * 2
    found = modes.choices(
        rollouts(paths)
        + rollouts(paths, train_seed=1)
        + rollouts(paths, method="a new one")
    )
    titles = [choice.title for choice in found]
    assert titles == ["BET, seed 0", "BET, seed 1", "a new one"]
    assert [len(choice.paths) for choice in found] == [2, 2, 2]
    with pytest.raises(BadInput, match="of one task"):
        modes.choices(rollouts(paths) + rollouts(paths, task="reach"))


# -------------------------------------------------------------------- files, refusals


def test_rollouts_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "modes.jsonl"
    written = rollouts([on_table(AT, LEFT), on_table(AT)])
    modes.write(path, written)
    assert modes.read(path) == written
    path.write_text(path.read_text()[:-40])
    with pytest.raises(BadInput, match=r"modes.jsonl holds no rollouts"):
        modes.read(path)
    path.write_text("")
    with pytest.raises(BadInput, match="is empty"):
        modes.read(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, demos_file):
    """A run folder."""
    runs = tmp_path_factory.mktemp("runs")
    main(["train", *TINY, "--demos", str(demos_file), "--runs", str(runs)])
    (folder,) = (runs / "pusht").iterdir()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """The same, to be spoilt."""
    return shutil.copytree(trained, tmp_path / "run")


def test_modes_and_report_from_end_to_end(run, tmp_path, capsys):
    out = str(tmp_path / "results")
    main(["modes", str(run), "--rollouts", "3", "--task", "pusht", "--out", out])
    assert "| Diffusion Policy, CNN (DP-C) | 3 |" in capsys.readouterr().out
    made = tmp_path / "results" / "pusht" / "made-up"
    found = modes.read(made / "modes.jsonl")
    assert [r.env_seed - modes.FIRST_SEED for r in found] == [0, 1, 2]
    assert len({r.path for r in found}) == 3, "the sampler's seed makes them differ"
    names = ("modes.md", "modes.csv", "modes.png")
    before = {name: (made / name).read_bytes() for name in names}
    for name in names:
        (made / name).unlink()
    main(["report", out, "--runs", str(run)])
    assert {name: (made / name).read_bytes() for name in names} == before
    assert modes.collect([run], rollouts=3) == found

    with pytest.raises(BadInput, match="named twice"):
        modes.collect([run, run])
    (run / "weights.safetensors").unlink()
    with pytest.raises(BadInput, match="training has not come that far"):
        modes.collect([run])


def test_what_cannot_be_shown_is_said_in_one_sentence(run, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="name a run folder"):
        modes.collect([])
    with pytest.raises(BadInput, match="nowhere is not a run folder"):
        modes.collect([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match=r"must be in 1..1000, got 0"):
        modes.collect([run], rollouts=0)
    other = dataclasses.replace(TASK, name="other")
    plain = dataclasses.replace(TASK, name="plain", fork=None)
    table = {task.name: task for task in (TASK, other, plain)}
    monkeypatch.setattr(registry, "tasks", lambda: table)
    with pytest.raises(BadInput, match="is a run of task 'pusht', not 'other'"):
        modes.collect([run], task="other")
    with pytest.raises(BadInput, match=r"'plain' has no start .* pusht, other"):
        modes.collect([run], task="plain")
    with pytest.raises(BadInput, match="did you mean 'pusht'"):
        modes.collect([run], task="pushd")
