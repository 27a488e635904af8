"""The grid of tasks, methods and seeds."""
