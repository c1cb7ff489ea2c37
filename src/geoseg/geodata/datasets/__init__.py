"""Datasets on disk, downloads and legend files."""
