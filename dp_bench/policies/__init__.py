"""Policies: what they share, Diffusion Policy, and playing one in a loop."""
