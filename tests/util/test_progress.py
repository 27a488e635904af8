"""Progress: lines for files, messages for a parent process."""

import json

import pytest

from dp_bench.grid.progress import GridProgress
from dp_bench.util import progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (75, "1 min 15 s"), (7260, "2 h 1 min")],
)
def test_a_duration_reads_well(seconds, text):
    assert progress.duration(seconds) == text


def test_a_file_gets_a_line_at_intervals_and_one_at_the_end(monkeypatch, capsys):
    clock = iter(range(0, 1000, 6))  # [s]
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = progress.Lines("Training", 10, done=2)
    for _ in range(4):
        bar.advance(2, "loss 0.5")
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith("Training: 6/10, loss 0.5, ")
    assert lines[0].endswith(" left")
    assert lines[-1] == "Training: 10/10, loss 0.5"


def test_a_file_gets_no_line_twice(monkeypatch, capsys):
    clock = iter(range(0, 1000, 6))  # [s]
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = progress.Lines("Filming", 10)
    for ended in (0, 0, 0, 0, 0, 0, 1):
        bar.advance(ended)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "Filming: 0/10",
        "Filming: 1/10",
    ]


def test_short_work_prints_nothing(capsys):
    bar = progress.Lines("Training", 2)
    bar.advance(2)
    bar.close()
    assert capsys.readouterr().err == ""


def test_a_note_reaches_people_through_the_parent_process(monkeypatch, capsys):
    monkeypatch.setenv("DP_BENCH_PROGRESS", "json")
    progress.note("one [dimension] is constant")
    message = json.loads(capsys.readouterr().out)
    GridProgress(2).show("pusht bet seed 0", message)
    assert capsys.readouterr().err == "one [dimension] is constant\n"


def test_a_child_process_writes_messages(monkeypatch, capsys):
    monkeypatch.setenv("DP_BENCH_PROGRESS", "json")
    with progress.bar("Training", 4) as bar:
        bar.advance(4, "loss 0.5")
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert messages[-1] == {
        "what": "Training",
        "total": 4,
        "done": 4,
        "text": "loss 0.5",
    }


@pytest.mark.parametrize("first", [0, 500])
def test_no_time_is_left_before_a_twentieth_of_the_work_is_done(first, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    bar = progress.Lines("Training", first + 1000, done=first)
    bar.done, clock[0] = first + 49, 49.0
    assert bar._seconds_left() is None
    bar.done, clock[0] = first + 50, 50.0
    assert bar._seconds_left() == 950
    rich = progress.rich_progress()
    row = rich.add_task("", total=first + 1000, completed=first, text="", first=first)
    left = next(c for c in rich.columns if hasattr(c, "elapsed_when_finished"))
    rich.update(row, completed=first + 49)
    assert str(left.render(rich.tasks[0])) == "-:--:--"
