"""Helpers that know nothing of policies or tasks."""
