"""Demonstrations: files, storage, splits, windows, replay."""
