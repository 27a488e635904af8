"""Diffusion Policy: one loss and one sampler, with a network per file."""
