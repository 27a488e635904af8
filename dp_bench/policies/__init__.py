"""Policies: their base class, their layers, Diffusion Policy, and playing them."""
