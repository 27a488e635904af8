"""`dp-bench power` and the options of `--until-decided`, as a user types them."""

from pathlib import Path

import matplotlib.image
import pytest

from dp_bench.cli import main

PUSHT = Path(__file__).parents[2] / "results" / "pusht"


def refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    return err


def test_power_prints_a_plan_and_draws_it(tmp_path, capsys):
    figure = tmp_path / "plan.png"
    words = ["power", str(PUSHT), "--methods", "dp_c", "lstm_gmm"]
    main([*words, "--variant", "default", "--out", str(figure)])
    out = capsys.readouterr().out
    assert out.startswith("pusht, variant default, keypoints observations: DP-C 0.92, ")
    assert "A chance of 80% takes 12 train seeds of each on 50 starts" in out
    assert out.endswith(f"figure: {figure}\n")
    assert matplotlib.image.imread(figure).shape[1] > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "dp_c", "bet"], "name a folder of results"),
        ([str(PUSHT.parent), "--methods", "dp_c", "bet"], "has no records of a task"),
        ([str(PUSHT)], "--methods takes two methods, got none"),
        ([str(PUSHT), "--methods", "dp_c", "bert"], "no method 'bert'"),
    ],
)
def test_what_power_cannot_plan_is_refused(words, message, capsys):
    assert message in refused(["power", *words], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pair", "dp_c", "bet"], "--pair and --most-seeds need --until-decided"),
        (["--most-seeds", "8"], "--pair and --most-seeds need --until-decided"),
        (["--until-decided"], "--until-decided compares two methods, got dp_c, dp_t"),
        (["--until-decided", "--pair", "dp_c"], "compares two methods, got dp_c; name"),
        (
            ["--until-decided", "--pair", "dp_c", "bet", "--seeds", "0", "1"],
            "--until-decided takes the seeds 0, 1, 2, ... itself",
        ),
        (
            ["--until-decided", "--pair", "dp_c", "bet", "--most-seeds", "0"],
            "--most-seeds must be at least 6, got 0",
        ),
        (
            ["--until-decided", "--pair", "dp_c", "bert"],
            "no method 'bert'",
        ),
        (
            ["--until-decided", "--task", "robomimic", "--pair", "dp_c", "bet"],
            "--until-decided takes one task, got robomimic",
        ),
    ],
)
def test_what_cannot_be_decided_is_refused_before_anything_runs(
    words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    task = [] if "--task" in words else ["--task", "pusht"]
    assert message in refused(["compare", *task, *words], capsys)
    assert not [*tmp_path.rglob("*.safetensors")]
