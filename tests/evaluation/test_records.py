import dataclasses
import json
import os

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.evaluation import records as record_files
from dp_bench.evaluation.records import Record, append, read, same, to_frame


def make(**changes):
    values = {
        "task": "reach",
        "obs_kind": "state",
        "control": "position",
        "method": "mine",
        "preset": "smoke",
        "settings": "s1",
        "demos_digest": "d1",
        "split_digest": "p1",
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


def test_what_is_read_is_what_was_written(file):
    written = [make(env_seed=seed, method="größe\n{}") for seed in range(3)]
    append(file, written[:1])
    append(file, written[1:])
    assert read(file) == written


def test_numpy_numbers_become_plain_ones(file):
    append(file, [make(score=np.float32(0.5), success=np.bool_(True))])
    [record] = read(file)
    assert (record.score, record.success) == (0.5, True)
    assert isinstance(record.success, bool)


def test_a_crash_at_any_byte_loses_at_most_the_last_line(file):
    first, last, later = (make(env_seed=seed) for seed in (1, 2, 3))
    append(file, [first, last])
    whole = file.read_bytes()
    line = len(whole) // 2
    for length in range(line, len(whole) + 1):
        file.write_bytes(whole[:length])
        kept = [first, last] if length >= len(whole) - 1 else [first]
        assert read(file) == kept
        append(file, [later])
        assert read(file) == [*kept, later]
        assert file.read_bytes().count(b"\n") == len(kept) + 1


def test_a_first_line_cut_short_leaves_an_empty_file(file):
    append(file, [make()])
    file.write_bytes(file.read_bytes()[:20])
    assert read(file) == []
    append(file, [make()])
    assert read(file) == [make()]


def test_earlier_lines_are_never_rewritten(file):
    append(file, [make(env_seed=1)])
    before, inode = file.read_bytes(), file.stat().st_ino
    append(file, [make(env_seed=2)])
    assert file.read_bytes().startswith(before)
    assert file.stat().st_ino == inode


def test_the_disk_is_told_once_a_call(file, monkeypatch):
    synced = []
    monkeypatch.setattr(record_files.os, "fsync", synced.append)
    append(file, [make(env_seed=seed) for seed in range(5)])
    assert len(synced) == 1
    assert not os.path.exists(f"{file}.tmp")


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path):
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
        (change(score=1.5), r"'score' must lie in \[0, 1\], got 1.5"),
        (change(score=float("nan")), "'score' must be a finite number, got nan"),
        (change(success=1), "'success' must be true or false"),
        (change(train_seed="0"), "'train_seed' must be a whole number, got '0'"),
        (change(length=True), "'length' must be a whole number"),
        (change(sub_scores={"p1": "high"}), "'sub_scores.p1' must be a finite number"),
        (change(sub_scores={"length": 1}), "must not use the name 'length'"),
    ],
)
def test_a_bad_line_is_refused_by_file_line_and_field(file, line, message):
    append(file, [make()])
    with open(file, "a") as out:
        out.write(line + "\n")
    append(file, [make(env_seed=2)])
    with pytest.raises(BadInput, match=message) as refusal:
        read(file)
    assert f"{file}, line 2" in str(refusal.value)


def test_what_could_not_be_read_again_is_not_written(file):
    for bad in (make(score=float("nan")), make(score=2.0), make(method=object())):
        with pytest.raises(BadInput):
            append(file, [make(), bad])
    assert not file.exists()


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(BadInput, match=r"no file in it ends in \.jsonl"):
        read(tmp_path)
    with pytest.raises(BadInput, match="neither a file of records nor a folder"):
        read(tmp_path / "nowhere")


def test_a_frame_has_a_column_per_sub_score():
    frame = to_frame([make(), make(sub_scores={"p2": 0.5})])
    assert frame["p1"].tolist()[0] == 0.1 + 0.2
    assert np.isnan(frame["p2"][0])
    assert frame["p2"][1] == 0.5
    assert frame["versions"][0] == "python 3.11"
    names = {field.name for field in dataclasses.fields(Record)} - {"sub_scores"}
    assert set(frame) == names | {"p1", "p2"}
    assert len(to_frame([])) == 0
    assert "score" in to_frame([])


def test_only_times_may_differ_between_equal_runs():
    assert same(make(), make(decision_latency=9.0, train_seconds=9.0))
    for name, value in (("score", 0.5), ("commit", "abc"), ("sub_scores", {})):
        assert not same(make(), make(**{name: value}))
