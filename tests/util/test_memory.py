"""How much memory is free, and that freed memory is kept for the next use."""

import subprocess
import sys

import pytest
import torch

from dp_bench.util import memory

CODE = """
import resource, sys
import torch
from dp_bench.util.memory import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    keep_freed_memory()

def work():
    return torch.ones(50_000_000, dtype=torch.uint8)

for _ in range(10):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(word):
    words = [sys.executable, "-c", CODE, word]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux")
def test_memory_that_is_freed_and_taken_again_causes_no_page_faults():
    usual, kept = page_faults("usual"), page_faults("keep")
    if usual < 100:
        pytest.skip("this C library keeps freed memory anyway")
    assert kept < usual / 10


def test_a_container_has_less_memory_than_its_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_free_on_machine", lambda: 5000.0)
    (tmp_path / "cgroup").write_text("4:memory:/other\n0::/job/step\n")

    def limit(group, most, taken):
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{taken}\n")
        (group / "memory.stat").write_text("anon 5\ninactive_file 100\n")

    def free():
        return memory.free_memory(torch.device("cpu"))

    assert free() == 5000
    limit(tmp_path / "job", 1000, 700)
    assert free() == 400  # copies of files are given up
    limit(tmp_path / "job" / "step", "max", 300)
    assert free() == 400
    limit(tmp_path / "job" / "step", 500, 300)
    assert free() == 300
    limit(tmp_path / "job" / "step", 500, 700)
    assert free() == 0
    limit(tmp_path / "job", 9000, 700)
    limit(tmp_path / "job" / "step", 9000, 700)
    assert free() == 5000
