"""Rollouts from a fork: the start, the verdict on a path, the shares of sides."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.data import readers
from dp_bench.envs.push_t import fork
from dp_bench.envs.push_t.geometry import TABLE
from dp_bench.errors import BadInput
from dp_bench.evaluation import multimodality
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
    """Converts points (across, along) in the block's frame to the table, `(L, 2)`."""
    x, y, angle = FORK.start[2:]
    turned = np.array([complex(*p) for p in points]) * np.exp(1j * angle)
    return np.stack([turned.real + x, turned.imag + y], axis=1)


def in_block(path, state):
    """Converts positions on the table to (across, along) in the block's frame."""
    points = (path - state[2:4]) @ [1, 1j] * np.exp(-1j * state[4])
    return np.stack([points.real, points.imag], axis=1)


# ---------------------------------------------------------------------- the verdict

AT, LEFT, RIGHT = (0, 201), (-90, 60), (90, 60)


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        pytest.param([AT, LEFT, (-90, -20), (0, -20)], (-1, True), id="left"),
        pytest.param([AT, RIGHT, (90, -20), (0, -20)], (1, True), id="right"),
        pytest.param([AT, LEFT, (-50, 80)], (-1, True), id="halfway"),
        pytest.param([AT, LEFT, (-90, -9), (70, -9)], (-1, True), id="crosses behind"),
        pytest.param(
            [AT, LEFT, (-9, 150), RIGHT, (90, -9)],
            (1, False),
            id="crosses before",
        ),
        pytest.param([AT, LEFT, RIGHT, LEFT], (-1, False), id="there and back"),
        pytest.param([AT, (29, 150), (-29, 140)], (0, False), id="no side"),
        pytest.param([AT], (0, False), id="stands still"),
    ],
)
def test_the_judge_names_the_side_and_the_commitment_of_a_path(points, verdict):
    assert fork.way_round(on_table(*points), FORK.start) == verdict


def mirrored(points):
    """Mirrors points at the line x + y = 512, the axis of the table and the outline."""
    return TABLE - np.asarray(points)[..., ::-1]


def test_a_mirrored_path_gets_the_mirrored_verdict():
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(200):
        path = on_table(AT) + rng.normal(size=(12, 2)).cumsum(axis=0) * 25
        side, committed = fork.way_round(path, FORK.start)
        verdicts.add((side, committed))
        assert fork.way_round(mirrored(path), FORK.start) == (-side, committed)
    assert len(verdicts) == 5, "both sides with and without commitment, and neither"


# ------------------------------------------------------------------------ the start


def test_left_and_right_of_the_fork_are_mirror_images():
    np.testing.assert_allclose(mirrored(FORK.start[:2]), FORK.start[:2])
    scene = fork.outlines(FORK.start)
    for name, within in (("block", 1e-9), ("goal", 1e-9), ("table", 1.0)):
        (outline,) = scene[name]
        apart = np.abs(outline[:, None] - mirrored(outline)).max(axis=-1)
        assert apart.min(axis=1).max() <= within, name


def test_the_fork_is_a_state_at_rest_in_which_the_task_is_unsolved():
    env = TASK.make_env()
    _, info = env.reset(options={"state": FORK.start})
    np.testing.assert_allclose(info["state"], FORK.start)
    for _ in range(3):
        *_, info = env.step(np.array(FORK.start[:2]))
    np.testing.assert_allclose(info["state"], FORK.start)
    assert info["coverage"] < 0.5


def test_demonstrations_take_both_ways(shared):
    """Judges every passage in which the finger goes from the stem around the block."""
    file = shared / "data/pusht/pusht_cchi_v7_replay.zarr.zip"
    if not file.exists():
        pytest.skip("needs the replay file")
    demos = readers.read(file, TASK, None)
    sides = []
    for end, start in zip(
        demos.episode_ends, [0, *demos.episode_ends[:-1]], strict=True
    ):
        row = start
        while row < end:
            state, path = demos.states[row], demos.states[row : min(row + 40, end), :2]
            u, v = in_block(path, state).T
            turned = (state[4] - FORK.start[4] + np.pi) % (2 * np.pi) - np.pi
            before = v[0] > 140 and abs(u[0]) < 30 and abs(turned) < 0.6
            if before and (v < 0).any():
                sides.append(fork.way_round(path, state)[0])
                row += 40
            row += 1
    assert len(sides) > 30
    assert 1 / 3 < np.mean(np.array(sides) < 0) < 2 / 3


def test_seeds_differ_from_those_of_test_and_validation_starts():
    seeds = set(
        range(
            multimodality.FIRST_SEED,
            multimodality.FIRST_SEED + multimodality.MAX_ROLLOUTS,
        )
    )
    assert not seeds & {*TEST_STARTS, *VALIDATION_STARTS}


# --------------------------------------------------------------------- rollouts, shares


class Walk:
    """Goes around the block on a side that depends on the seed, in one chunk."""

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
        multimodality.Rollout(
            **{
                "task": "pusht",
                "method": "bet",
                "preset": "smoke",
                "obs_kind": "keypoints",
                "control": "position",
                "settings": "s",
                "demos_digest": "d",
                "split_digest": "p",
                "order_digest": "o",
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
    return multimodality.play(TASK, Walk(side_of), range(count), **env)


@pytest.mark.parametrize(
    ("side_of", "share"),
    [(lambda _: -1, 1), (lambda _: 1, 0), (lambda s: 1 - 2 * (s % 2), 0.5)],
)
def test_shares_count_the_sides_that_rollouts_took(side_of, share):
    paths = played(side_of)
    (choice,) = multimodality.choices(rollouts(paths))
    assert choice.left.value == share
    assert choice.commits.value == 1
    assert choice.left.low <= share <= choice.left.high


def test_undecided_rollouts_have_no_side_and_no_commitment():
    """2 go left, 1 changes from left to right, 1 stays; Wilson's 2 of 3 by hand."""
    ways = [[AT, LEFT], [AT, LEFT], [AT, LEFT, RIGHT], [AT]]
    (choice,) = multimodality.choices(rollouts([on_table(*way) for way in ways]))
    assert choice.left[:3] == pytest.approx((2 / 3, 0.2077, 0.9385), abs=1e-4)
    assert choice.commits.value == 0.5
    (nowhere,) = multimodality.choices(rollouts([on_table(AT)]))
    assert nowhere.left is None


def test_rollouts_begin_at_the_fork_and_last_as_long_as_it_says():
    paths = played(lambda seed: 1 - 2 * (seed % 2), count=TASK.lanes + 2)
    assert {path.shape for path in paths} == {(FORK.steps + 1, 2)}
    for seed, path in enumerate(paths):
        np.testing.assert_allclose(path[0], FORK.start[:2])
        np.testing.assert_array_equal(path, paths[seed % 2])
    assert np.abs(paths[0] - paths[1]).max() > 100
    np.testing.assert_array_equal(played(lambda _: 1, count=1)[0], paths[0])


def test_the_environment_uses_the_control_mode_of_the_run():
    """200 is a position on the table, or else a velocity towards the far corner."""

    class Push(Walk):
        def act(self, obs):
            return np.full((len(obs), 40, 2), 200.0)

    ends = {
        control: multimodality.play(TASK, Push(int), [0], control=control)[0][-1]
        for control in ("position", "velocity")
    }
    np.testing.assert_allclose(ends["position"], [200, 200], atol=2)
    assert (ends["velocity"] > 400).all()


def test_the_policy_sees_the_kind_of_observation_of_its_run():
    class Look(Walk):
        def act(self, obs):
            self.shape = obs.shape
            return super().act(obs)

    shapes = {}
    for obs_kind in ("state", "keypoints"):
        actor = Look(lambda _: 1)
        multimodality.play(TASK, actor, [0], obs_kind=obs_kind)
        shapes[obs_kind] = actor.shape
    assert shapes == {"state": (1, 1, 5), "keypoints": (1, 1, 20)}


def test_titles_state_the_fields_in_which_runs_of_a_method_differ():
    paths = [on_table(AT, LEFT)] * 2
    judged = multimodality.choices(
        rollouts(paths)
        + rollouts(paths, train_seed=1)
        + rollouts(paths, method="a new one")
    )
    titles = [choice.title for choice in judged]
    assert titles == ["BET, seed 0", "BET, seed 1", "a new one"]
    assert [len(choice.paths) for choice in judged] == [2, 2, 2]
    two_steps = multimodality.choices(rollouts(paths) + rollouts(paths, step=8))
    assert [choice.title for choice in two_steps] == [
        "BET, 7 updates",
        "BET, 8 updates",
    ]
    with pytest.raises(BadInput, match="of one task"):
        multimodality.choices(rollouts(paths) + rollouts(paths, task="reach"))


# -------------------------------------------------------------------- files, refusals


def test_reading_returns_the_rollouts_that_were_written(tmp_path):
    path = tmp_path / "modes.jsonl"
    written = rollouts([on_table(AT, LEFT), on_table(AT)])
    multimodality.write(path, written)
    assert multimodality.read(path) == written


def test_damaged_files_of_rollouts_are_refused(tmp_path):
    path = tmp_path / "modes.jsonl"
    multimodality.write(path, rollouts([on_table(AT, LEFT), on_table(AT)]))
    lines = path.read_text()
    for content, message in (
        (lines[:-40], "ends within a line; make the file again with `dp-bench modes`"),
        (lines[40:], r"modes\.jsonl, line 1 is not JSON"),
        (
            lines.replace('"step"', '"stop"', 1),
            r"line 1: unknown field 'stop'",
        ),
        ("", "is empty"),
    ):
        path.write_text(content)
        with pytest.raises(BadInput, match=message):
            multimodality.read(path)


def test_files_from_before_rollouts_stated_split_and_order_are_read(tmp_path):
    path = tmp_path / "modes.jsonl"
    (rollout,) = rollouts([on_table(AT)])
    line = dataclasses.asdict(rollout)
    del line["split_digest"], line["order_digest"]
    path.write_text(json.dumps(line) + "\n")
    older = dataclasses.replace(rollout, split_digest="", order_digest="")
    assert multimodality.read(path) == [older]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, demos_file):
    """A run folder with weights."""
    runs = tmp_path_factory.mktemp("runs")
    main(["train", *TINY, "--demos", str(demos_file), "--runs", str(runs)])
    (folder,) = (runs / "pusht").iterdir()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run folder that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def test_report_remakes_the_files_that_modes_made(run, tmp_path, capsys):
    out = str(tmp_path / "results")
    main(["modes", str(run), "--rollouts", "3", "--task", "pusht", "--out", out])
    assert "| Diffusion Policy, CNN (DP-C) | 3 |" in capsys.readouterr().out
    folder = tmp_path / "results" / "pusht" / "made-up"
    rollouts = multimodality.read(folder / "modes.jsonl")
    assert [r.env_seed - multimodality.FIRST_SEED for r in rollouts] == [0, 1, 2]
    assert len({r.path for r in rollouts}) == 3, "the sampler's seed makes them differ"
    names = ("modes.md", "modes.csv", "modes.png")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    main(["report", out, "--runs", str(run)])
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert multimodality.collect([run], rollouts=3) == rollouts

    with pytest.raises(BadInput, match="named twice"):
        multimodality.collect([run, run])
    (run / "weights.safetensors").unlink()
    with pytest.raises(BadInput, match="training has not come that far"):
        multimodality.collect([run])


def test_wrong_runs_and_tasks_are_refused(run, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="name a run folder"):
        multimodality.collect([])
    with pytest.raises(BadInput, match="nowhere is not a run folder"):
        multimodality.collect([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match=r"must be in 1..1000, got 0"):
        multimodality.collect([run], rollouts=0)
    other = dataclasses.replace(TASK, name="other")
    plain = dataclasses.replace(TASK, name="plain", fork=None)
    table = {task.name: task for task in (TASK, other, plain)}
    monkeypatch.setattr(registry, "tasks", lambda: table)
    with pytest.raises(BadInput, match="is a run of task 'pusht', not 'other'"):
        multimodality.collect([run], task="other")
    with pytest.raises(BadInput, match=r"'plain' has no start .* pusht, other"):
        multimodality.collect([run], task="plain")
    with pytest.raises(BadInput, match="did you mean 'pusht'"):
        multimodality.collect([run], task="pushd")
