"""Estimates, intervals and comparisons from arrays of scores; no torch, no pandas."""
