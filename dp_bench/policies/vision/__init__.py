"""Encoders of images: settings, networks, crops."""
