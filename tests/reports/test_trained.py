"""Rows whose trainings differ carry a mark; rows trained unlike others another one."""

import dataclasses
import json

import pytest

from dp_bench import registry
from dp_bench.evaluation import records
from dp_bench.reports import group
from dp_bench.reports.csv_file import to_csv
from dp_bench.reports.latex import to_latex
from dp_bench.reports.markdown import to_markdown
from dp_bench.reports.remake import table_of
from dp_bench.reports.summary import summary
from dp_bench.runs.folder import RunFolder
from dp_bench.runs.trained import Stage, Trained
from made_up import run_info
from made_up_records import by_method, episodes, table, with_digests

CPU = Stage(0, "cpu", "a CPU", "", "float32", 2, "2.13", "abc")
GPU = Stage(0, "cuda", "a CPU", "a GPU", "TF32", 1, "2.11", "def")
SCORES = ((0.5, 1.0, 0.2), (0.4, 0.9, 0.3), (0.6, 0.8, 0.1))
ON_CPU, ON_GPU = "CPU, float32, torch 2.13", "a GPU, TF32, torch 2.11"


def trained_on(method, *stages, scores=SCORES, **changes):
    """Records of a row; stage i made the weights of train seed i."""
    return [
        dataclasses.replace(
            r, trained=stages[r.train_seed] and Trained((stages[r.train_seed],))
        )
        for r in episodes(method, scores, **changes)
    ]


def test_rows_of_one_mixture_stay_comparable_and_others_do_not():
    mixed = (CPU, GPU, GPU)
    result = table(
        trained_on("alpha_1", *mixed)
        + trained_on("beta", *mixed)
        + trained_on("gamma", CPU, CPU, CPU)
    )
    rows = by_method(result)
    assert not rows["alpha_1"].differs
    assert not rows["beta"].differs
    assert rows["beta"].letters
    assert rows["gamma"].differs == (
        f"trained on {ON_CPU}, not on {ON_GPU} (train seeds 1-2)",
    )
    assert rows["gamma"].difference is None
    [note] = [line for line in result.footer if line.startswith("‡")]
    assert f"train seed 0 on {ON_CPU}; train seeds 1-2 on {ON_GPU}" in note
    assert note.endswith("Rows: alpha_1; beta.")
    text = to_markdown(result)
    assert "alpha\\_1 ‡" in text
    assert "gamma †" in text
    assert "gamma ‡" not in text
    assert r"$^{\ddagger}$" in to_latex(result)
    assert to_csv(result).count("train seeds 1-2 on a GPU, TF32") == 2


@pytest.mark.parametrize(
    ("change", "mixed"),
    [
        ({"precision": "bfloat16"}, True),
        ({"torch": "2.14"}, True),
        ({"device": "cuda", "gpu": "a GPU"}, True),
        ({"processor": "another CPU"}, False),
        ({"threads": 1}, False),
        ({"commit": "def"}, False),
    ],
)
def test_device_precision_and_torch_set_trainings_apart(change, mixed):
    other = dataclasses.replace(CPU, **change)
    result = table(trained_on("alpha_1", CPU, CPU, other))
    assert any(line.startswith("‡") for line in result.footer) == mixed
    assert ("‡" in to_markdown(result)) == mixed


def test_a_training_that_resumed_elsewhere_is_mixed_in_itself():
    both = Trained((CPU, dataclasses.replace(GPU, update=40)))
    result = table(
        [dataclasses.replace(r, trained=both) for r in episodes("alpha_1", SCORES)]
    )
    [note] = [line for line in result.footer if line.startswith("‡")]
    assert f"train seeds 0-2 on {ON_CPU} then {ON_GPU}" in note


def test_an_unknown_training_gets_no_mark_and_is_called_unknown():
    result = table(trained_on("alpha_1", CPU, None, CPU) + episodes("beta", SCORES))
    assert not by_method(result)["beta"].differs
    assert "‡" not in to_markdown(result)
    [line] = [line for line in result.footer if line.startswith("Trained: ")]
    assert "train seeds 0-2 on unknown conditions" in line


def test_the_footer_tells_training_and_evaluation_apart():
    result = table(trained_on("alpha_1", CPU, GPU, GPU))
    assert (
        f"Trained: train seed 0 on {ON_CPU}; train seeds 1-2 on {ON_GPU}; processor a "
        "CPU; threads 1, 2; commit abc, def."
    ) in result.footer
    assert "Evaluated: commit abc; versions numpy 2.0, python 3.11." in result.footer


def test_old_records_take_their_training_from_the_copies_of_run_json(tmp_path):
    infos = [run_info(train_seed=seed) for seed in range(3)]
    for info, gpu in zip(infos, (None, "a GPU", "a GPU"), strict=True):
        run = RunFolder(tmp_path / "run")
        run.write_info(info)
        facts = json.loads((run.path / "run.json").read_text())
        facts["machine"]["gpu"] = gpu
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / f"{info.name}.json").write_text(json.dumps(facts))
        identity = dataclasses.asdict(info.identity) | {"sub_scores": {}}
        method = identity.pop("method")
        old = with_digests(episodes(method, [SCORES[0]], **identity))
        records.append(tmp_path / "records" / f"{info.name}.jsonl", old)
    result = table_of(tmp_path)
    [note] = [line for line in result.footer if line.startswith("‡")]
    assert "train seed 0 on CPU, float32" in note
    assert "train seeds 1-2 on a GPU, TF32" in note


def test_a_table_of_a_group_has_the_marks_of_its_tasks():
    mixed, uniform = (CPU, GPU, GPU), (CPU, CPU, CPU)
    lift = [
        *trained_on("bet", *mixed, task="lift", sub_scores={}),
        *trained_on("dp_c", *mixed, task="lift", sub_scores={}),
        *trained_on("ibc", *uniform, task="lift", sub_scores={}),
    ]
    can = trained_on("bet", *uniform, task="can", sub_scores={})
    tables = {
        name: summary(with_digests(members), registry.task(name))
        for name, members in (("lift", lift), ("can", can))
    }
    rows = {row.first.method: row for row in group.combine(tables)}
    assert rows["bet"].marks == {"lift": " ‡", "can": ""}
    assert rows["ibc"].marks == {"lift": " †", "can": ""}
    notes = "\n".join(group._notes(list(rows.values()), tables))
    assert "† Not comparable" in notes
    assert "‡ Trainings differ" in notes
    _, cells = group._cells(list(rows.values()), ["lift", "can"])
    assert any("0.53 ‡ [" in cell for line in cells for cell in line)
