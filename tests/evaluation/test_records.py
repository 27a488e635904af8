"""Records: the lines of their files, the refusal of wrong ones, and their table."""

import dataclasses
import json

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation.records import Record, append, read, same, to_frame
from dp_bench.runs.info import RunIdentity
from dp_bench.runs.trained import Stage, Trained

# Written by an earlier version, which knew no order digest; and by the last one.
LINE_WITHOUT_ORDER = (
    '{"task": "reach", "obs_kind": "state", "control": "position", "method": "mine", '
    '"preset": "smoke", "settings": "5e771465", "demos_digest": "'
    + "d1"
    * 32
    + '", "split_digest": "591175911759", '
    '"train_seed": 0, "step": 100, "starts": "test", "variant": "default", '
    '"env_seed": 100000, "score": 0.3333333333333333, "success": false, '
    '"sub_scores": {"p1": 0.30000000000000004}, "length": 7, "decision_latency": 0.01, '
    '"parameters": 12, "train_seconds": 1.5, "commit": "", '
    '"versions": {"python": "3.11"}}\n'
)
LINE = LINE_WITHOUT_ORDER.replace("}}", '}, "order_digest": "0bde50bde50b"}')


def make(**changes):
    values = {
        "task": "reach",
        "obs_kind": "state",
        "control": "position",
        "method": "mine",
        "preset": "smoke",
        "settings": "5e771465",
        "demos_digest": "d1" * 32,
        "split_digest": "591175911759",
        "train_seed": 0,
        "step": 100,
        "starts": "test",
        "variant": "default",
        "env_seed": 100_000,
        "score": 1 / 3,
        "success": False,
        "sub_scores": {"p1": 0.1 + 0.2},
        "length": 7,
        "decision_latency": 0.01,
        "parameters": 12,
        "train_seconds": 1.5,
        "commit": "",
        "versions": {"python": "3.11"},
    }
    return Record(**(values | changes))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run" / "episodes.jsonl"


def test_reading_returns_the_records_that_were_appended(file):
    written = [make(env_seed=seed, method="größe", commit="{}\n") for seed in range(3)]
    append(file, written[:1])
    append(file, written[1:])
    assert read(file) == written


def test_a_record_is_written_byte_for_byte_as_ever(file):
    append(file, [make(order_digest="0bde50bde50b")])
    assert file.read_text() == LINE


def test_records_of_earlier_versions_are_read(file):
    file.parent.mkdir()
    file.write_text(LINE_WITHOUT_ORDER + LINE)
    assert read(file) == [make(order_digest=""), make(order_digest="0bde50bde50b")]


def test_a_record_says_when_the_task_was_solved(file):
    solved = make(success_once=True, success_at_end=False)
    append(file, [solved, make()])
    assert read(file) == [solved, make()]
    frame = to_frame(read(file))
    assert frame["success_once"].tolist() == [True, None]
    assert frame["success_at_end"].tolist() == [False, None]


def test_a_record_says_how_its_weights_were_trained(file):
    trained = Trained((Stage(device="cpu", torch="2.0"), Stage(3, "cuda")), "0" * 12)
    append(file, [make(trained=trained), make()])
    assert read(file) == [make(trained=trained), make()]
    assert to_frame(read(file))["trained"].tolist() == [trained, None]


def test_a_record_has_every_field_of_the_identity_of_its_run():
    names = [field.name for field in dataclasses.fields(RunIdentity)]
    assert set(names) < {field.name for field in dataclasses.fields(Record)}
    assert json.loads(LINE).keys() >= set(names) - {"frames_digest"}


def test_only_records_of_runs_with_images_apart_name_them(file):
    append(file, [make(), make(frames_digest="f" * 64)])
    without, named = map(json.loads, file.read_text().splitlines())
    assert "frames_digest" not in without
    assert named["frames_digest"] == "f" * 64
    assert read(file) == [make(), make(frames_digest="f" * 64)]


def test_the_files_of_a_folder_are_read_in_order(tmp_path):
    for name, seed in (("b/2.jsonl", 2), ("a/1.jsonl", 1), ("a/3.jsonl", 3)):
        append(tmp_path / name, [make(env_seed=seed)])
    (tmp_path / "log.txt").write_text("not a record")
    assert [record.env_seed for record in read(tmp_path)] == [1, 3, 2]


def change(**changes):
    return json.dumps(dataclasses.asdict(make()) | changes)


def without(name):
    values = dataclasses.asdict(make())
    del values[name]
    return json.dumps(values)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task": "rea', "is not JSON"),
        ("[1, 2]", "must be an object"),
        (change(colour="red"), "unknown field 'colour'"),
        (without("score"), "field 'score' is missing"),
        (change(score=1.5), r"score must be in \[0, 1\], got 1.5"),
        (change(score=float("nan")), "score must be a finite number, got nan"),
        (change(success=1), "success must be true or false"),
        (change(success_once="yes"), "success_once must be true or false, got 'yes'"),
        (change(success_at_end=1), "success_at_end must be true or false, got 1"),
        (
            change(success_once=False, success_at_end=True),
            "success_at_end is true, so success_once must be true, too",
        ),
        (change(trained={"weights": 3}), "trained: weights must be text, got 3"),
        (change(trained={"stages": [{"threads": -1}]}), "threads must be at least 0"),
        (change(trained=[]), "trained: the data must be an object"),
        (change(train_seed="0"), "train_seed must be a whole number, got '0'"),
        (change(length=True), "length must be a whole number"),
        (change(sub_scores={"p1": "high"}), "sub_scores.p1 must be a number"),
        (change(sub_scores={"length": 1}), "must not use 'length'"),
        (change(sub_scores={"order_digest": 1}), "must not use 'order_digest'"),
    ],
)
def test_a_wrong_line_is_refused_by_file_line_and_field(file, line, message):
    append(file, [make()])
    with open(file, "a") as out:
        out.write(line + "\n")
    append(file, [make(env_seed=2)])
    with pytest.raises(BadInput, match=message) as refusal:
        read(file)
    assert f"{file}, line 2" in str(refusal.value)


def test_records_that_could_not_be_read_again_are_not_written(file):
    for wrong in ({"score": 2.0}, {"length": 1.5}, {"sub_scores": {"p1": np.nan}}):
        with pytest.raises(BadInput):
            append(file, [make(), make(**wrong)])
    assert not file.exists()


def test_a_missing_file_and_a_folder_without_records_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no file in it ends in \.jsonl"):
        read(tmp_path)
    with pytest.raises(BadInput, match="neither a file of records nor a folder"):
        read(tmp_path / "nowhere")


def test_a_frame_has_a_column_per_field_and_sub_score():
    frame = to_frame([make(), make(sub_scores={"p2": 0.5})])
    assert frame["p1"].tolist()[0] == 0.1 + 0.2
    assert np.isnan(frame["p2"][0])
    assert frame["p2"][1] == 0.5
    assert frame["versions"][0] == "python 3.11"
    names = {field.name for field in dataclasses.fields(Record)} - {"sub_scores"}
    assert set(frame) == names | {"p1", "p2"}
    assert len(to_frame([])) == 0
    assert "score" in to_frame([])


def test_records_are_the_same_if_only_their_times_differ():
    assert same(make(), make(decision_latency=9.0, train_seconds=9.0))
    for name, value in (("score", 0.5), ("commit", "abc"), ("sub_scores", {})):
        assert not same(make(), make(**{name: value}))
