"""The command line `dp-bench`: one file a command."""

from dp_bench.cli.app import main

__all__ = ["main"]
