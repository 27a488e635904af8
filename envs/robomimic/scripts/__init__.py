"""Scripted demonstrators of Robomimic's tasks, one file a task."""
