"""Patches of rasters, and features of a network read at points."""
