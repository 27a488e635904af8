"""A training that diverges says which command trains again, and that one works."""

import re

import pytest

from dp_bench.cli import main
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.runs.folder import RunFolder
from dp_bench.training.log import read_log
from dp_bench.util.tensors import load_tensors

FAR = 800  # weights beyond this give no finite loss, as large ones do in float16
SETTINGS = [
    *("policy.channels=8,16", "policy.step_dim=8", "policy.sample_steps=2"),
    *("training.updates=6", "training.batch_size=8", "training.log_every=2"),
    *("training.warmup=0", "training.save_seconds=1e-9", "training.lr=1000"),
]


@pytest.fixture(autouse=True)
def _overflow(monkeypatch):
    loss = UnetDiffusion.loss

    def overflowing(policy, *given):
        largest = max(float(p.detach().abs().max()) for p in policy.parameters())
        return loss(policy, *given) * (float("nan") if largest > FAR else 1.0)

    monkeypatch.setattr(UnetDiffusion, "loss", overflowing)


def refused(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_the_command_that_the_sentence_names_trains_from_the_start(
    tmp_path, capsys, demos_file, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    command = ["train", "--task", "pusht", "--demos", str(demos_file)]
    command += ["--preset", "smoke", "--episodes", "1", "--set", *SETTINGS]
    said = refused(command, capsys)
    (diverged,) = map(RunFolder, (tmp_path / "runs" / "pusht").iterdir())
    before = {f.name: f.read_bytes() for f in diverged.path.glob("[!.]*.*")}
    assert "training diverged around update 2" in said
    assert "a run of its own, from the start" in said
    (word,) = re.findall(r"`(dp_c:training\.lr=\S+)` .*as the last word of --set", said)
    assert word == "dp_c:training.lr=100"

    main([*command, word])
    assert {f.name: f.read_bytes() for f in diverged.path.glob("[!.]*.*")} == before
    (other,) = set((tmp_path / "runs" / "pusht").iterdir()) - {diverged.path}
    assert RunFolder(other).info().training["lr"] == 100
    assert load_tensors(RunFolder(other).weights)[1]["update"] == 6
    assert [line.update for line in read_log(RunFolder(other).log)] == [2, 4, 6]


def test_float32_is_advice_only_where_it_is_not_used(
    tmp_path, capsys, demos_file, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    command = ["train", "--task", "pusht", "--demos", str(demos_file)]
    command += ["--preset", "smoke", "--episodes", "1", "--set", *SETTINGS]
    for precision, advised in (("bfloat16", True), ("float32", False)):
        said = refused([*command, f"training.precision={precision}"], capsys)
        assert ("dp_c:training.precision=float32" in said) is advised
