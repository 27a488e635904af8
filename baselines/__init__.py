"""The methods that Diffusion Policy is compared with, one file each."""
