"""Trained policies that come with the package, and packing a run as one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dp_bench
from dp_bench import registry
from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation.evaluate import evaluate
from dp_bench.evaluation.records import read
from dp_bench.runs import shipped
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.packing import pack
from dp_bench.runs.provenance import machine
from dp_bench.util.tensors import load_tensors, save_tensors
from made_up import written_run

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """A package with one trained policy, pusht/dp_c, in an empty working folder."""
    pack(written_run(tmp_path / "run"), tmp_path / "shipped" / "pusht" / "dp_c")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "shipped" / "pusht" / "dp_c"


def test_a_packed_run_is_half_as_large_and_acts_almost_alike(tmp_path):
    run = written_run(tmp_path / "run")
    packed = pack(run, tmp_path / "packed")
    weights = tmp_path / "packed" / "weights.safetensors"
    assert weights.stat().st_size < 0.7 * run.weights.stat().st_size
    assert 0 < packed.change < 2**-11
    observed = np.random.default_rng(0).uniform(0, 512, 20).astype(np.float32)
    actions = []
    for folder in (run.path, tmp_path / "packed"):
        agent = dp_bench.Agent(dp_bench.load_agent(folder).actor)
        agent.reset(0)
        actions.append(agent.act(observed))
    assert not np.array_equal(*actions)
    np.testing.assert_allclose(*actions, atol=5.0)  # 1 % of the range


def test_normalizers_keep_their_precision(tmp_path):
    pack(written_run(tmp_path / "run"), tmp_path / "packed")
    stored, _ = load_tensors(tmp_path / "packed" / "weights.safetensors")
    kept = {name: t.dtype for name, t in stored.items() if t.numel() < 256}
    assert kept
    assert torch.float16 not in kept.values()
    assert any(t.dtype == torch.float16 for t in stored.values())


def test_a_packed_run_says_which_weights_it_was_made_from(tmp_path):
    run = written_run(tmp_path / "run")
    run.write_info(run.info(), "cpu")
    run.write_weights_digest()
    before = run.trained()
    pack(run, tmp_path / "packed")
    text = (tmp_path / "packed" / "run.json").read_text(encoding="utf-8")
    assert json.loads(text)["packed_from"] == before.weights
    packed = RunFolder(tmp_path / "packed")
    assert packed.trained().stages == before.stages
    assert packed.trained().weights not in ("", before.weights)
    assert packed.info() == run.info()
    packed.load_policy()  # its weights have the digest that run.json names


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path):
    run = written_run(tmp_path / "run")
    tensors, facts = load_tensors(run.weights)
    name = next(n for n, t in tensors.items() if t.numel() >= 256)
    tensors[name].view(-1)[0] = 1e5
    save_tensors(run.weights, tensors, facts)
    with pytest.raises(BadInput, match=r"holds a weight of 1e\+05, and half precision"):
        pack(run, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pack", "name a run folder"),
        ("pack nothing", "not a run folder"),
        ("pack run --out run", "is not empty"),
        ("demo --episodes 0", "--episodes"),
        ("demo nowhere", "nowhere is not a run folder"),
        ("eval pusht/dp_x", "neither a run folder nor a trained policy of this pack"),
    ],
)
def test_wrong_input_is_one_sentence(policy, words, said, capsys):
    written_run(policy.parents[2] / "here" / "run")
    with pytest.raises(SystemExit) as error:
        main(words.split())
    assert error.value.code
    assert said in capsys.readouterr().err


def test_an_untrained_run_is_not_packed(tmp_path):
    run = written_run(tmp_path / "run")
    run.weights.unlink()
    with pytest.raises(BadInput, match="not trained yet"):
        pack(run, tmp_path / "packed")


def test_a_shipped_policy_has_a_name(policy):
    assert shipped.names() == ["pusht/dp_c"]
    agent = dp_bench.load_agent("pusht/dp_c")
    assert (agent.info.task, agent.info.method) == ("pusht", "dp_c")


def test_a_folder_of_ones_own_comes_first(policy):
    own = written_run(policy.parents[2] / "here" / "pusht" / "dp_c", train_seed=3)
    assert dp_bench.load_agent("pusht/dp_c").info == own.info()


def test_evaluating_a_shipped_policy_leaves_the_package_alone(policy, monkeypatch):
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 3)
    before = sorted(policy.iterdir())
    for _ in range(2):  # the second call finds the copy and its records
        main(["eval", "pusht/dp_c", "--episodes", "2", "--variants", "default"])
    assert sorted(policy.iterdir()) == before
    (copy,) = (policy.parents[2] / "here" / "runs" / "shipped" / "pusht").iterdir()
    assert len(read(copy / "records.jsonl")) == 2


def test_a_demo_ends_with_a_page_of_films(policy, monkeypatch, capsys):
    pytest.importorskip("imageio_ffmpeg")
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 3)
    monkeypatch.setattr(
        "dp_bench.evaluation.rollout.play", None
    )  # plays once, in films
    main(["demo", "--episodes", "2"])
    here = policy.parents[2] / "here" / "demo"
    (records,) = here.rglob("records.jsonl")
    assert [record.env_seed for record in read(records)] == [100_000, 100_001]
    main(["demo", "--episodes", "2"])
    assert len(read(records)) == 2
    page = here / "results" / "index.html"
    assert page.is_file()
    assert f"page: {page.relative_to(policy.parents[2] / 'here')}" in (
        capsys.readouterr().out
    )
    films = page.parent / "pusht" / "made-up" / "films"
    assert len(list(films.glob("*.mp4"))) == 2


def test_a_demo_plays_runs_of_ones_own(policy, monkeypatch, capsys):
    pytest.importorskip("imageio_ffmpeg")
    import gymnasium as gym

    monkeypatch.setattr(gym.spec("dp_bench/PushT-v0"), "max_episode_steps", 3)
    run = written_run(policy.parents[2] / "here" / "mine")
    main(["demo", "mine", "--episodes", "1", "--out", "shown"])
    assert len(read(run.records)) == 1
    assert "page: shown/results/index.html" in capsys.readouterr().out


def test_a_package_without_policies_says_what_to_do(policy, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "FOLDER", policy / "nothing")
    with pytest.raises(SystemExit):
        main(["demo"])
    assert "name run folders" in capsys.readouterr().err


QUICK = ("bet", "lstm_gmm")  # decide in a fraction of a millisecond
SHIPPED = [
    pytest.param(name, marks=() if name.endswith(QUICK) else pytest.mark.slow)
    for name in shipped.names()
]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_gives_its_records(name, tmp_path):
    """Plays the first group of episodes, and compares it with `results/`."""
    task, _ = name.split("/")
    (run,) = map(RunFolder, shipped.playable([Path(name)], tmp_path))
    info = run.info()
    file = RESULTS / "shipped" / task / "records" / f"{info.name}.jsonl"
    if not file.is_file():
        pytest.skip("this copy has no folder results/")
    variant, lanes = next(iter(registry.task(task).variants)), registry.task(task).lanes
    evaluate(run, episodes=lanes, variants=[variant])
    played = {record.env_seed: record.score for record in read(run.records)}
    known = {
        record.env_seed: record.score
        for record in read(file)
        if record.variant == variant and record.env_seed in played
    }
    assert len(known) == len(played) == lanes
    (stage,) = run.trained().stages
    if stage.processor == machine()["processor"]:
        assert played == known
    else:  # the last digits differ, and then whole episodes
        mean = [np.mean(list(scores.values())) for scores in (played, known)]
        assert mean[0] == pytest.approx(mean[1], abs=0.2)
