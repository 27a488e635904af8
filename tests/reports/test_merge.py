"""Merging the results of shards: everything once, and no mixtures."""

import dataclasses

import pytest
from reports.test_search import CONDITIONS

from dp_bench.cli import main
from dp_bench.errors import BadInput
from dp_bench.evaluation import records, search
from dp_bench.evaluation.search import Pause, Trial
from dp_bench.reports import results_folder
from dp_bench.reports.merge import merge
from dp_bench.runs.folder import RunFolder, read_run
from dp_bench.util.tensors import save_tensors
from made_up import run_info
from made_up_records import episodes


def trained(path, seed=0, scores=(0.5, 1.0), first=0, **changes):
    """A finished run of PushT with records of made-up scores."""
    import torch

    info = run_info(train_seed=seed, order_digest=f"{seed:012x}", **changes)
    run = RunFolder(path / info.task / info.name)
    save_tensors(run.weights, {"w": torch.ones(1)}, {"update": 5, "seconds": 1.0})
    run.write_info(info, "cpu")
    run.write_weights_digest()
    identity = dataclasses.asdict(info.identity)
    made = episodes(
        identity.pop("method"),
        [scores],
        **identity,
        variant="default",
        sub_scores={},
        trained=run.trained(),
    )
    shifted = [dataclasses.replace(r, env_seed=r.env_seed + first) for r in made]
    records.append(run.records, shifted)
    return run


def test_two_shards_become_one_folder(tmp_path):
    results_folder.collect([trained(tmp_path / "a", 0).path], tmp_path / "one")
    results_folder.collect([trained(tmp_path / "b", 1).path], tmp_path / "two")
    out = tmp_path / "out"
    (folder,) = merge([tmp_path / "one", tmp_path / "two"], out)
    assert folder == out / "pusht" / "made-up"
    merged = records.read(folder / "records")
    assert sorted((r.train_seed, r.env_seed) for r in merged) == [
        (seed, 100_000 + start) for seed in (0, 1) for start in (0, 1)
    ]
    assert {read_run(f)[0].train_seed for f in (folder / "runs").glob("*")} == {0, 1}

    before = {f: f.read_bytes() for f in folder.rglob("*.json*")}
    merge([tmp_path / "one", tmp_path / "two"], out)  # again changes nothing
    assert {f: f.read_bytes() for f in folder.rglob("*.json*")} == before


def test_run_folders_merge_too_and_episodes_of_one_run_join(tmp_path):
    trained(tmp_path / "a", first=0)
    trained(tmp_path / "b", first=2)
    trained(tmp_path / "c", first=1)  # its starts overlap with both
    with pytest.raises(BadInput, match=r"differ in start 100001 of .* 0\.5 and 1"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (folder,) = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    merged = records.read(folder / "records")
    assert [r.env_seed for r in merged] == [100_000, 100_001, 100_002, 100_003]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"demos_digest": "e" * 64}, "had different demonstrations"),
        ({"split_digest": "6" * 12}, "had different splits"),
    ],
)
def test_trainings_on_other_data_are_refused(changes, said, tmp_path):
    trained(tmp_path / "a", 0)
    trained(tmp_path / "b", 1, **changes)
    with pytest.raises(BadInput, match=said):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_order_of_one_train_seed_is_refused(tmp_path):
    trained(tmp_path / "a", 0)
    other = trained(tmp_path / "b", 0, method="bet", policy={})
    text = (other.path / "run.json").read_text(encoding="utf-8")
    assert '"order_digest": "000000000000"' in text
    changed = text.replace(
        '"order_digest": "000000000000"', f'"order_digest": "{"f" * 12}"'
    )
    (other.path / "run.json").write_text(changed, encoding="utf-8")
    with pytest.raises(BadInput, match="had different orders of training rows"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_other_weights_of_one_training_are_refused(tmp_path):
    import torch

    trained(tmp_path / "a")
    other = trained(tmp_path / "b", first=2)
    save_tensors(other.weights, {"w": torch.zeros(1)}, {"update": 5, "seconds": 1.0})
    other.write_weights_digest()
    with pytest.raises(BadInput, match="are the same run but have different weights"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_an_order_that_a_setting_weights_is_no_mixture(tmp_path):
    trained(tmp_path / "a", 0)
    weighted = trained(tmp_path / "b", 0, training={"keyframe_weight": 3.0})
    text = (weighted.path / "run.json").read_text(encoding="utf-8")
    other = text.replace('"order_digest": "0', '"order_digest": "f')
    (weighted.path / "run.json").write_text(other, encoding="utf-8")
    (folder,) = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert len(list((folder / "runs").iterdir())) == 2


def test_records_in_one_file_belong_to_their_runs(tmp_path):
    runs = [trained(tmp_path / "a", seed) for seed in (0, 1)]
    results_folder.collect([run.path for run in runs], tmp_path / "one")
    place = tmp_path / "one" / "pusht" / "made-up" / "records"
    files = sorted(place.iterdir())
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for file in files:
        file.unlink()
    (place / "all.jsonl").write_text(text, encoding="utf-8")
    more = trained(tmp_path / "b", 0, first=2)
    (folder,) = merge([more.path], tmp_path / "one")
    assert [f.name for f in sorted((folder / "records").iterdir())] == [
        f.name for f in files
    ]
    assert len(records.read(folder / "records")) == 6

    (folder / "runs" / f"{files[0].stem}.json").unlink()
    with pytest.raises(BadInput, match=r"has records of .* and no runs/"):
        merge([folder], tmp_path / "out")


def test_what_lies_in_other_folders_is_not_touched(tmp_path):
    """Other tasks of the results may have mixtures of their own."""
    trained(tmp_path / "a", 0)
    other = tmp_path / "out" / "pusht" / "search" / "bet.jsonl"
    search.put(other, trial(3))
    before = other.read_bytes()
    merge([tmp_path / "a"], tmp_path / "out")
    assert other.read_bytes() == before


def test_tables_of_other_names_take_no_part(tmp_path):
    """Such as results/learning/pusht, with another training of the same name."""
    import torch

    out, mine = tmp_path / "out", tmp_path / "mine"
    other = trained(tmp_path / "b")
    save_tensors(other.weights, {"w": torch.zeros(1)}, {"update": 5, "seconds": 1.0})
    other.write_weights_digest()
    apart = trained(tmp_path / "c", 1)
    results_folder.collect([other.path, apart.path], out / "learning")
    search.put(out / "learning" / "pusht" / "search" / "bet.jsonl", trial(3))
    search.put(out / "quick" / "search" / "bet.jsonl", trial(3))
    (out / "learning" / apart.path.parent.name / "made-up" / "runs").joinpath(
        f"{apart.path.name}.json"
    ).unlink()  # so that its records belong to no run
    before = {f: f.read_bytes() for f in out.rglob("*.json*")}
    results_folder.collect([trained(tmp_path / "a").path], mine)
    (folder,) = merge([mine], out)
    assert len(list((folder / "runs").iterdir())) == 1
    assert {f: f.read_bytes() for f in before} == before
    assert not (out / "pusht" / "search").exists()


def test_the_folder_of_one_table_is_refused_as_results(tmp_path):
    mine = trained(tmp_path / "a").path
    results_folder.collect([mine], tmp_path / "out")
    with pytest.raises(BadInput, match="is the folder of one table; name the folder"):
        merge([mine], tmp_path / "out" / "pusht" / "made-up")


def test_records_of_a_run_that_lies_in_a_wrong_folder_stay(tmp_path):
    elsewhere = trained(tmp_path / "b", 1, demos_source="other-source")
    results_folder.collect([elsewhere.path], tmp_path / "out")
    wrong = tmp_path / "out" / "pusht" / "made-up"
    (tmp_path / "out" / "pusht" / "other-source").rename(wrong)
    before = {f: f.read_bytes() for f in wrong.rglob("*.json*")}
    merge([trained(tmp_path / "a").path], tmp_path / "out")
    assert {f: f.read_bytes() for f in before} == before


def trial(number, pauses=1, state="finished", changes=("training.lr=0.1",)):
    return Trial(
        number=number,
        search="abc",
        conditions=CONDITIONS,
        train_seed=0,
        starts=1,
        commit="",
        values={},
        changes=changes,
        updates=90,
        update_seconds=1.0,
        state=state,
        pauses=tuple(
            Pause(10 * k, (0.5,), (False,), 1.0) for k in range(1, pauses + 1)
        ),
    )


def test_trials_of_shards_join_and_the_furthest_state_counts(tmp_path):
    one, two = (tmp_path / n / CONDITIONS.task / "search" / "dp_c.jsonl" for n in "ab")
    search.put(one, trial(0))
    search.put(one, trial(1, 1, "unfinished"))  # as the first shard last read it
    search.put(two, trial(1, 3))
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    file = tmp_path / "out" / CONDITIONS.task / "search" / "dp_c.jsonl"
    assert [(t.number, len(t.pauses)) for t in search.read(file)] == [(0, 1), (1, 3)]
    two.unlink()
    search.put(two, trial(0, changes=("training.lr=0.2",)))
    with pytest.raises(BadInput, match="differ in trial 0"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("collect", "name folders"),
        ("collect nowhere", "nowhere is not a folder"),
        ("collect empty", "empty holds no results and no runs"),
    ],
)
def test_wrong_input_is_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        main(words.split())
    assert said in capsys.readouterr().err


def test_the_command_prints_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "a", 0)
    trained(tmp_path / "b", 1)
    main(["collect", "a", "b", "--out", "out"])
    shown = capsys.readouterr().out
    assert "2 train seeds" in " ".join(shown.split())
    assert (tmp_path / "out" / "pusht" / "made-up" / "table.md").is_file()
