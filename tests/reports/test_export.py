"""Exported episodes: what they hold, who reads them, and which folders are refused."""

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation.records import append
from dp_bench.reports.export import export
from dp_bench.statistics.comparisons import all_pairs, paired_difference
from dp_bench.statistics.estimates import pool_of
from made_up_records import episodes, with_digests

ROOT = Path(__file__).parents[2]
PUSHT = ROOT / "results" / "pusht"
SCORES = [[1.0, 0.25, 1.0], [0.5, 1.0, 0.0]]


@pytest.fixture
def results(tmp_path):
    """Results of one method, with episodes that no table shows."""
    records = [
        *episodes("dp_c", SCORES, step=20),
        *episodes("dp_c", SCORES, step=20, variant="windy"),
        *episodes("dp_c", [[0.0, 0.0, 0.0]] * 2, step=10),
        *episodes("dp_c", [[0.0, 0.0, 0.0]] * 2, step=20, starts="validation"),
    ]
    append(tmp_path / "reach" / "records" / "all.jsonl", with_digests(records))
    return tmp_path / "reach"


def table_of_pusht():
    """Mean success and number of episodes by method, observation and variant."""
    with open(PUSHT / "table.csv", encoding="utf-8") as file:
        return {
            (row["method"], f"{row['obs_kind']}_{row['variant']}"): (
                float(row["success"]),
                int(row["num_seeds"]) * int(row["num_starts"]),
            )
            for row in csv.DictReader(file)
        }


def trainings_of_pusht():
    """How many trainings the folder of PushT has."""
    return len(list((PUSHT / "runs").iterdir()))


def method_of(run):
    """`dp_c-flow` of `dp_c-flow-d1d4226a-0300-seed2`, say."""
    return run.rsplit("-", 3)[0]


def test_each_training_has_a_file_with_its_episodes_by_variant(results, tmp_path):
    files = export(results, "eval-info", tmp_path / "out")
    assert len(files) == 2
    for seed, file in enumerate(sorted(files, key=lambda f: f.parent.name[-1])):
        assert file.parent.parent == tmp_path / "out"
        assert file.parent.name.startswith("dp_c-")
        assert file.parent.name.endswith(f"-seed{seed}")
        info = json.loads(file.read_text())
        assert [t["task_group"] for t in info["per_task"]] == [
            "reach_state_plain",
            "reach_state_windy",
        ]
        for task in info["per_task"]:
            assert task["metrics"] == {
                "successes": [score >= 1 for score in SCORES[seed]],
                "scores": SCORES[seed],
                "seeds": [100_000, 100_001, 100_002],
            }
        share = 100 * np.mean([score >= 1 for score in SCORES[seed]])
        assert info["overall"] == {
            "pc_success": pytest.approx(share),
            "n_episodes": 6,
        }
        assert info["per_group"]["reach_state_windy"]["n_episodes"] == 3
        assert info["seed"] == 100_000
        assert [e["success"] for e in info["per_episode"]] == [
            score >= 1 for score in SCORES[seed] * 2
        ]


def test_starts_with_gaps_have_no_first_seed(results, tmp_path):
    records = with_digests(episodes("bet", [[1.0], [0.0]], env_seed=100_000))
    records += with_digests(episodes("bet", [[1.0], [0.0]], env_seed=100_002))
    append(tmp_path / "gap" / "records" / "all.jsonl", records)
    for file in export(tmp_path / "gap", "eval-info", tmp_path / "out"):
        info = json.loads(file.read_text())
        assert "seed" not in info
        assert info["per_task"][0]["metrics"]["seeds"] == [100_000, 100_002]


def test_a_row_of_csv_is_an_episode_of_the_table(results, tmp_path):
    [file] = export(results, "csv", tmp_path / "out")
    with open(file, encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 12
    shown = [
        (r["variant"], r["train_seed"], r["episode"], r["env_seed"], float(r["score"]))
        for r in rows
    ]
    assert sorted(shown) == [
        (variant, str(seed), str(k), str(100_000 + k), SCORES[seed][k])
        for variant in ("plain", "windy")
        for seed in (0, 1)
        for k in (0, 1, 2)
    ]
    assert all(r["success"] == str(float(r["score"]) >= 1).lower() for r in rows)
    assert {(r["starts"], r["updates"], r["length"]) for r in rows} == {
        ("test", "20", "7")
    }


def test_a_row_of_csv_says_when_the_task_was_solved(tmp_path):
    known = episodes("bet", [[1.0]], success_once=True, success_at_end=False)
    unknown = episodes("ibc", [[1.0]])
    append(tmp_path / "in" / "records" / "a.jsonl", with_digests(known + unknown))
    [file] = export(tmp_path / "in", "csv", tmp_path / "out")
    with open(file, encoding="utf-8") as lines:
        rows = {row["method"]: row for row in csv.DictReader(lines)}
    names = ("success", "success_once", "success_at_end")
    assert [rows["bet"][name] for name in names] == ["true", "true", "false"]
    assert [rows["ibc"][name] for name in names] == ["true", "", ""]


def test_orbit_eval_reads_the_numbers_of_the_table(tmp_path):
    discover = pytest.importorskip("orbit_eval.discover", reason="needs orbit-eval")
    from orbit_eval import io

    files = export(PUSHT, "eval-info", tmp_path / "eval-info")
    export(PUSHT, "csv", tmp_path / "csv")
    for file in files:
        run = io.load_single(str(file.parent))
        assert run.sr_vector_mismatch is None
        assert run.seed == 100_000
    for form in ("eval-info", "csv"):
        [source] = discover.scan(str(tmp_path / form))
        read = defaultdict(list)
        for run, tasks in source.data.items():
            for task, successes in tasks.items():
                kind = task.removeprefix("pusht_").removesuffix("/0")
                read[method_of(run), kind] += successes
        assert len(source.data) == len(files) == trainings_of_pusht()
        assert {key: (np.mean(v), len(v)) for key, v in read.items()} == {
            key: (pytest.approx(success), number)
            for key, (success, number) in table_of_pusht().items()
        }


def test_robostats_reads_the_numbers_of_the_table(tmp_path):
    robostats = pytest.importorskip(
        "robostats", reason="needs robostats, which needs Python 3.11"
    )
    fields = {
        "protocol": robostats.Protocol(max_steps=300),
        "success_field": "success",
        "success_detail_field": "score",
        "seed_field": "env_seed",
    }
    [file] = export(PUSHT, "csv", tmp_path / "csv")
    read = defaultdict(list)
    for r in robostats.load_csv(
        file, policy_id_field="method", task_id_field="task", **fields
    ):
        read[r.policy_id, r.task_id.removeprefix("pusht_")].append(r.success)
    expected = {
        key: (pytest.approx(success), number)
        for key, (success, number) in table_of_pusht().items()
    }
    assert {key: (np.mean(v), len(v)) for key, v in read.items()} == expected

    read.clear()
    fields |= {"success_detail_field": "score", "seed_field": "seed"}
    for file in export(PUSHT, "eval-info", tmp_path / "eval-info"):
        for r in robostats.load_manifest(
            file,
            episodes_at="per_episode",
            policy_id=method_of(file.parent.name),
            task_id_field="task_group",
            **fields,
        ):
            read[r.policy_id, r.task_id.removeprefix("pusht_")].append(r.success)
    assert {key: (np.mean(v), len(v)) for key, v in read.items()} == expected


def test_the_manual_gives_the_intervals_that_both_compute(tmp_path):
    robostats = pytest.importorskip(
        "robostats", reason="needs robostats, which needs Python 3.11"
    )
    manual = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    [file] = export(PUSHT, "csv", tmp_path)
    read = robostats.load_csv(
        file,
        protocol=robostats.Protocol(max_steps=300),
        success_field="success",
        policy_id_field="method",
        task_id_field="task",
        scenario_fields=("train_seed", "env_seed"),
    )
    frame = pd.read_csv(file)
    names = ["dp_c", "ibc", "dp_t", "lstm_gmm", "bet"]
    for variant in ("default", "legacy"):
        from_keypoints = frame[frame["observation"] == "keypoints"]
        of_one = from_keypoints[from_keypoints["variant"] == variant]
        of_one = of_one.set_index("method")
        rows = [
            of_one.loc[name]
            .pivot(index="train_seed", columns="env_seed", values="success")
            .to_numpy(float)
            for name in names
        ]
        ours = paired_difference(rows[0], rows[1], pool_of(rows))
        sides = (
            robostats.RecordSet(
                [
                    episode
                    for episode in read
                    if (episode.policy_id, episode.task_id)
                    == (name, f"pusht_keypoints_{variant}")
                ],
                scenario_spec=read.scenario_spec,
            )
            for name in names[:2]
        )
        theirs = robostats.compare(robostats.pair(*sides))
        assert (
            f"| {variant} | {ours.value:.2f} | [{ours.low:.2f}, {ours.high:.2f}] "
            f"| {all_pairs(rows)[0].p:.3f} "
            f"| [{theirs.interval.lower:.2f}, {theirs.interval.upper:.2f}] "
            f"| {theirs.p_value:.3f} |\n"
        ) in manual


@pytest.mark.parametrize("form", ["eval-info", "csv"])
def test_an_export_can_be_repeated(results, tmp_path, form):
    first = {f: f.read_bytes() for f in export(results, form, tmp_path / "out")}
    part = next(iter(first)).with_name(".part.another-host-1.x")
    part.write_text("of a process that was killed")
    assert {f: f.read_bytes() for f in export(results, form, tmp_path / "out")} == first


def test_nothing_is_written_when_the_disk_is_full(results, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BadInput, match="No space left on device"):
        export(results, "csv", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_other_content_is_never_replaced(results, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for form in ("csv", "eval-info"):
        with pytest.raises(
            BadInput, match=r"holds mine.txt, .* name a new or an empty"
        ):
            export(results, form, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(BadInput, match="form must be one of eval-info, csv, got 'x'"):
        export(results, "x", out)
    with pytest.raises(BadInput, match="holds records"):
        export(results, "csv", results)
    (out / "mine.txt").unlink()
    (out / "episodes.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="symbolic link"):
        export(results, "csv", out)
    assert not (tmp_path / "elsewhere").exists()


def test_an_episode_that_occurs_twice_is_refused(results, tmp_path):
    shutil.copy(results / "records" / "all.jsonl", results / "records" / "again.jsonl")
    with pytest.raises(BadInput, match=r"start 100000 \(variant plain\) twice"):
        export(results, "csv", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("RESULTS/.. --form csv --out OUT", "name one of RESULTS"),
        ("OUT --form csv", "OUT has no records of its own"),
        ("RESULTS --form parquet", "invalid choice 'parquet'"),
        ("RESULTS", "--form"),
        ("RESULTS --form csv --out FILE", "FILE is not a folder"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    results, tmp_path, capsys, words, message
):
    (tmp_path / "file").write_text("")
    names = {"RESULTS": results, "OUT": tmp_path / "out", "FILE": tmp_path / "file"}

    def filled(text):
        for name, path in names.items():
            text = text.replace(name, str(path))
        return text

    with pytest.raises(SystemExit) as caught:
        main(["export", *filled(words).split()])
    assert caught.value.code == 2
    said = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert filled(message).replace("RESULTS/..", "") in said.replace("/reach/..", "")
    assert not (tmp_path / "out").exists()


def test_files_lie_beside_each_other_by_default(results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["export", str(results), "--form", "csv"])
    assert (tmp_path / "reach-csv" / "episodes.csv").is_file()
    assert "wrote reach-csv/episodes.csv" in capsys.readouterr().out
    main(["export", str(results), "--form", "eval-info"])
    assert "wrote 2 files to reach-eval-info" in capsys.readouterr().out
