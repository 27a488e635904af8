"""Helpers that know neither policies nor tasks."""
