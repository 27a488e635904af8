"""JSON lines: what was written is read again, whatever a crash leaves behind."""

import os
import re
from dataclasses import dataclass, field

import numpy as np
import pytest

from dp_bench.errors import BadInput
from dp_bench.util import jsonl


@dataclass(frozen=True)
class Line:
    name: str
    count: int
    share: float
    path: tuple[tuple[float, float], ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    error: float | None = None


LINES = [
    Line("größe\n{}", 3, 0.1 + 0.2, ((0.0, 1.0), (2.0, 3.0)), {"p1": 0.5}),
    Line("second", 4, 1 / 3, error=0.25),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new" / "lines.jsonl"


def test_appended_lines_are_read_as_they_were(file):
    jsonl.append(file, LINES[:1])
    jsonl.append(file, LINES[1:], sync=False)
    assert jsonl.read(file, Line) == LINES


def test_write_replaces_the_file(file):
    jsonl.append(file, LINES)
    jsonl.write(file, LINES[1:])
    assert jsonl.read(file, Line) == LINES[1:]
    assert os.listdir(file.parent) == [file.name]


def test_a_default_of_none_is_not_written(file):
    jsonl.append(file, [Line("a", 1, 0.5)])
    assert "error" not in file.read_text()
    jsonl.write(file, [Line("a", 1, 0.5, error=0.0)])
    assert '"error": 0.0' in file.read_text()


def test_numpy_numbers_become_python_numbers(file):
    jsonl.append(file, [Line("a", np.int64(1), np.float32(0.5))])
    [line] = jsonl.read(file, Line)
    assert (type(line.count), type(line.share)) == (int, float)


def test_a_crash_at_any_byte_loses_at_most_the_last_line(file):
    jsonl.append(file, LINES)
    content = file.read_bytes()
    first = content.index(b"\n") + 1
    for length in range(first, len(content) + 1):
        file.write_bytes(content[:length])
        complete = LINES if length >= len(content) - 1 else LINES[:1]
        assert jsonl.read(file, Line) == complete
        jsonl.append(file, LINES[:1])
        assert jsonl.read(file, Line) == [*complete, LINES[0]]
        assert file.read_bytes().count(b"\n") == len(complete) + 1


@pytest.mark.parametrize("sync", [True, False])
def test_append_waits_for_the_disk_at_most_once(file, monkeypatch, sync):
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    jsonl.append(file, LINES * 3, sync=sync)
    assert len(calls) == sync


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"name": "cut', "is not JSON"),
        ("[1, 2]", "must be an object {...}, got [1, 2]"),
        ('{"name": "a", "count": 1}', "field 'share' is missing"),
        ('{"nam": "a"}', "unknown field 'nam' (did you mean 'name'?)"),
        ('{"count": 1.5}', "count must be a whole number, got 1.5"),
        ('{"count": true}', "count must be a whole number, got True"),
        ('{"name": 3}', "name must be text, got 3"),
        ('{"share": NaN}', "share must be a finite number, got nan"),
        ('{"scores": 1}', "scores must be an object {...}, got 1"),
        ('{"scores": {"p1": "high"}}', "scores.p1 must be a number, got 'high'"),
        ('{"path": [[1, 2, 3]]}', "path takes 2 values, got [1, 2, 3]"),
    ],
)
def test_a_wrong_line_is_refused_by_file_line_and_field(file, line, message):
    jsonl.append(file, LINES[:1])
    with open(file, "a") as stream:
        stream.write(line + "\n")
    jsonl.append(file, LINES[1:])
    with pytest.raises(BadInput, match=re.escape(message)) as refusal:
        jsonl.read(file, Line)
    assert str(refusal.value).startswith(f"{file}, line 2")


@pytest.mark.parametrize("function", [jsonl.append, jsonl.write])
@pytest.mark.parametrize(
    "wrong", [Line("a", 1, float("nan")), Line(object(), 1, 0.5), Line("a", "b", 0.5)]
)
def test_a_line_that_read_would_refuse_is_not_written(file, function, wrong):
    with pytest.raises(BadInput, match="cannot write this Line"):
        function(file, [LINES[0], wrong])
    assert not file.exists()


def test_a_missing_file_is_refused(file):
    with pytest.raises(BadInput, match=r"cannot read .*lines\.jsonl: No such file"):
        jsonl.read(file, Line)


def test_a_first_line_that_was_cut_short_leaves_an_empty_file(file):
    jsonl.append(file, LINES[:1])
    file.write_bytes(file.read_bytes()[:20])
    assert jsonl.read(file, Line) == []
    jsonl.append(file, LINES[1:])
    assert jsonl.read(file, Line) == LINES[1:]


def test_append_never_rewrites_earlier_lines(file):
    jsonl.append(file, LINES[:1])
    before, inode = file.read_bytes(), file.stat().st_ino
    jsonl.append(file, LINES[1:])
    assert file.read_bytes().startswith(before)
    assert file.stat().st_ino == inode


def test_fields_with_a_default_come_last_in_a_line(file):
    @dataclass(frozen=True, kw_only=True)
    class Base:
        first: int
        added_later: str = ""

    @dataclass(frozen=True, kw_only=True)
    class Extended(Base):
        second: int

    line = jsonl.to_line(Extended(first=1, second=2, added_later="x"))
    assert line == b'{"first": 1, "second": 2, "added_later": "x"}\n'


@pytest.mark.parametrize(
    "line", ["[1, 2]", "3", '"text"', "null", "{}", "[" * 10**5, '{"a":' * 900]
)
def test_a_line_that_is_json_but_not_ours_is_refused(tmp_path, line):
    file = tmp_path / "lines.jsonl"
    file.write_text(f"{line}\n")
    with pytest.raises(BadInput, match=rf"{file}, line 1") as caught:
        jsonl.read(file, Line)
    assert len(str(caught.value)) < 500
