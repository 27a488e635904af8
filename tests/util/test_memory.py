"""Freed memory is kept for the next use."""

import subprocess
import sys

import pytest

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
