"""The log of a training."""

import subprocess
import sys

import pytest

from dp_bench.errors import BadInput
from dp_bench.training.log import Log, LogLine, read_log

LINES = [LogLine(update, 1 / update, 1e-3, 0.5) for update in (4, 8, 12)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "log.jsonl"


def test_a_log_is_cut_back_to_where_training_resumes(file):
    log = Log(file, 0)
    for line in LINES:
        log.append(line)
    with open(file, "a") as stream:
        stream.write('{"update": 16, "lo')  # the process was killed here
    resumed = Log(file, 8)
    assert read_log(file) == LINES[:2]
    resumed.append(LogLine(12, 0.1, 1e-3, 0.7, val_loss=0.2, val_action_error=0.3))
    assert read_log(file)[2].val_loss == 0.2


def test_lines_without_validation_have_no_validation_fields(file):
    Log(file, 0).append(LINES[0])
    assert file.read_text() == (
        '{"update": 4, "loss": 0.25, "lr": 0.001, "seconds": 0.5}\n'
    )


def test_a_missing_log_has_no_lines(file):
    assert read_log(file) == []


def test_a_damaged_line_is_refused(file):
    file.write_text('{"update": 4\n{"update": 8}\n')
    with pytest.raises(BadInput, match=r"log\.jsonl, line 1 is not JSON"):
        read_log(file)


def test_reading_a_log_does_not_load_torch():
    code = "import sys, dp_bench.training.log; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
