"""Encoders of pictures: settings, networks, crops."""
