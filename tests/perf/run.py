"""Measures speed, as ratios within one run, and memory, into results/perf/<part>.json.

Run it on an idle machine: `make perf`, or `python tests/perf/run.py latency` for one
part. Every number is the median of repeated measurements, and both sides of a ratio
are measured in turn, so a change in the load of the machine affects both.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

import torch

from dp_bench import references
from dp_bench.runs.provenance import commit, machine, versions
from dp_bench.util.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "environment": "environments:environment",
    "robomimic": "environments:robomimic",
    "training": "updates:training",
    "methods": "updates:methods",
    "tiers": "tiers:tiers",
    "encoders": "encoders:encoders",
    "images": "images:images",
    "latency": "decisions:latency",
    "objectives": "decisions:objectives",
    "rollouts": "decisions:rollouts",
    "memory": "memory:memory",
    "cluster": "cluster:cluster",
    "ray_overhead": "ray_overhead:ray_overhead",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all by default")
    parts = parser.parse_args().parts or list(PARTS)
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(
            f"unknown part {', '.join(unknown)}; choose from {', '.join(PARTS)}"
        )
    sys.path.insert(0, str(ROOT / "tests"))  # the parts import the textbook network
    facts = {
        "date": str(date.today()),
        "commit": commit(),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    for part in parts:
        measure = references.load(PARTS[part])
        print(f"\n{part}: {measure.__doc__.splitlines()[0]}", flush=True)
        numbers = measure()
        print(json.dumps(numbers, indent=2, default=float))
        text = json.dumps({**facts, part: numbers}, indent=2, default=float)
        atomic_write_text(ROOT / "results" / "perf" / f"{part}.json", text + "\n")


if __name__ == "__main__":
    main()
