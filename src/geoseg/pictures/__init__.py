"""Figures drawn from arrays and values."""
