"""Torch: losses, networks, fitting, and prediction with a network."""
