"""Rasters, point files, polygons and datasets on disk."""
