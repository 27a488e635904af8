"""Estimates with confidence intervals, from arrays of scores; needs NumPy only."""
