"""`python -m dp_bench`, the same as `dp-bench`."""

from dp_bench.cli import main

if __name__ == "__main__":
    main()
