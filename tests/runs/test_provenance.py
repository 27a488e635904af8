"""Where a run was made."""

import re
from pathlib import Path

import pytest

from dp_bench.runs import provenance


def test_versions_name_python_and_the_packages_that_move_numbers():
    versions = provenance.versions()
    assert {"python", "dp-bench", "numpy", "torch"} <= versions.keys()
    assert all(re.match(r"\d+\.\d+", version) for version in versions.values())


def test_the_commit_is_that_of_the_checkout():
    if not (Path(__file__).parents[2] / ".git").exists():
        pytest.skip("needs a git checkout")
    assert re.fullmatch(r"[0-9a-f]{10}\+?", provenance.commit())


def test_the_machine_has_a_processor_cores_and_threads():
    machine = provenance.machine()
    assert machine["processor"]
    assert machine["cores"] >= 1
    assert machine["threads"] >= 1
    assert machine.keys() == {"processor", "cores", "threads", "gpu"}
