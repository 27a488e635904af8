"""Damaged inputs of every kind: accepted, or refused in one sentence.

`FUZZ_CASE=KIND:SEED pytest -s tests/fuzz -k one_case` replays an input that failed.
"""

import collections
import os
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("measures memory in /proc", allow_module_level=True)
from fuzz import harness, inputs


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Folder with a good input of every kind."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in inputs.installed_kinds():
        (folder / name).mkdir()
        inputs.KINDS[name].write(folder / name)
    return folder


def told(results):
    """Counts by kind, with the largest memory and the longest time."""
    lines = []
    by_kind = collections.defaultdict(list)
    for result in results:
        by_kind[result.case.split(":")[0]].append(result)
    for kind, own in by_kind.items():
        counts = collections.Counter(result.outcome for result in own)
        lines.append(
            f"{kind:10} {counts['accepted']:5} accepted {counts['refused']:5} refused "
            f"{counts['failed']:4} failed, {sum(r.seconds for r in own):6.1f} s, each "
            f"at most {max(r.seconds for r in own):.2f} s "
            f"and {max(r.memory for r in own) / 2**20:.0f} MiB"
        )
    return "\n".join(lines)


def check(cases, scratch):
    results = list(harness.run_all(cases, scratch))
    print(f"\n{told(results)}")
    failed = [result for result in results if result.outcome == "failed"]
    replays = "\n".join(
        f"FUZZ_CASE={r.case} pytest -s tests/fuzz -k one_case\n{r.why}" for r in failed
    )
    assert not failed, f"{len(failed)} of {len(results)} inputs failed:\n{replays}"
    return results


def test_the_numbers_of_inputs_are_as_the_manual_says():
    kinds = inputs.KINDS.values()
    assert sum(kind.quick for kind in kinds) == 200
    assert sum(kind.slow for kind in kinds) == 3000


def test_damaged_inputs_are_refused_in_one_sentence(scratch):
    results = check(inputs.cases("quick"), scratch)
    assert {result.outcome for result in results} == {"accepted", "refused"}


@pytest.mark.slow
def test_many_damaged_inputs_are_refused_in_one_sentence(scratch):
    check(inputs.cases("slow"), scratch)


@pytest.mark.skipif("FUZZ_CASE" not in os.environ, reason="replays one input by hand")
def test_one_case(scratch):
    (result,) = check([os.environ["FUZZ_CASE"]], scratch)
    print(result)
