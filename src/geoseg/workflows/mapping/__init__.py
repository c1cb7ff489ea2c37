"""Predict class maps of rasters, and export models."""
