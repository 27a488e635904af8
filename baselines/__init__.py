"""The rivals of Diffusion Policy, one file a method."""
