"""The five Robomimic tasks."""
