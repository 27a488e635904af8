"""Rollouts from a fork: their paths, the shares of sides, their files."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from made_up_rollouts import AT, BEHIND, LEFT, RIGHT, rollouts

from dp_bench import registry
from dp_bench.cli import main
from dp_bench.envs.push_t import fork
from dp_bench.errors import BadInput
from dp_bench.evaluation import multimodality
from dp_bench.evaluation.choices import choices
from dp_bench.horizons import Horizons
from dp_bench.task import MOST_TEST_STARTS, VALIDATION_STARTS
from pushing import on_table

TASK = registry.task("pusht")
FORK = TASK.fork
TINY = [
    *("--set", "policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.updates=2", "training.batch_size=8", "--preset", "smoke"),
    *("--episodes", "1", "--method", "dp_c", "--task", "pusht"),
]


def test_seeds_differ_from_those_of_test_and_validation_starts():
    first = multimodality.FIRST_SEED
    seeds = set(range(first, first + multimodality.MAX_ROLLOUTS))
    assert not seeds & {*MOST_TEST_STARTS, *VALIDATION_STARTS}


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


def played(side_of, count=20, **env):
    return multimodality.play(TASK, Walk(side_of), range(count), **env)


@pytest.mark.parametrize(
    ("side_of", "share"),
    [(lambda _: -1, 1), (lambda _: 1, 0), (lambda s: 1 - 2 * (s % 2), 0.5)],
)
def test_shares_count_the_sides_that_rollouts_took(side_of, share):
    paths = played(side_of)
    (choice,) = choices(rollouts(paths))
    assert choice.left.value == share
    assert choice.commits.value == 1
    assert choice.left.low <= share <= choice.left.high


def test_rollouts_that_never_go_round_have_no_side_and_no_commitment():
    """2 go left, 1 changes from left to right, 1 stays; Wilson's 2 of 3 by hand."""
    ways = [[AT, LEFT], [AT, LEFT], [AT, LEFT, RIGHT]]
    paths = [on_table(*way, BEHIND) for way in ways] + [on_table(AT)]
    (choice,) = choices(rollouts(paths))
    assert choice.left[:3] == pytest.approx((2 / 3, 0.2077, 0.9385), abs=1e-4)
    assert choice.commits.value == 0.5
    assert choice.is_round.tolist() == [True, True, True, False]
    (nowhere,) = choices(rollouts([on_table(AT, LEFT), on_table(AT, RIGHT)]))
    assert nowhere.left is None
    assert nowhere.commits.value == 0
    assert not nowhere.is_round.any()
    assert nowhere.sides.tolist() == [0, 0]


@pytest.mark.parametrize("said", [(1, True, False), (-1, True, False), (0, True, True)])
def test_the_rule_holds_whatever_the_judge_of_a_task_says(said, monkeypatch):
    """Not round is no side; no side is no commitment."""
    monkeypatch.setattr(fork, "way_round", lambda path, start: said)
    (choice,) = choices(rollouts([on_table(AT, LEFT, BEHIND)]))
    assert choice.sides.tolist() == [0]
    assert choice.committed.tolist() == [False]


def test_a_judge_that_says_no_more_than_the_side_is_refused(monkeypatch):
    monkeypatch.setattr(fork, "way_round", lambda path, start: (1, True))
    with pytest.raises(BadInput, match=r"way_round of task 'pusht' must return \(side"):
        choices(rollouts([on_table(AT, LEFT, BEHIND)]))


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
    judged = choices(
        rollouts(paths)
        + rollouts(paths, train_seed=1)
        + rollouts(paths, method="a new one")
    )
    titles = [choice.title for choice in judged]
    assert titles == ["BET, seed 0", "BET, seed 1", "a new one"]
    assert [len(choice.paths) for choice in judged] == [2, 2, 2]
    two_steps = choices(rollouts(paths) + rollouts(paths, step=8))
    assert [choice.title for choice in two_steps] == [
        "BET, 7 updates",
        "BET, 8 updates",
    ]
    with pytest.raises(BadInput, match="of one task"):
        choices(rollouts(paths) + rollouts(paths, task="reach"))


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
