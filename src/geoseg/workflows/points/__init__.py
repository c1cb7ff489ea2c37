"""Audit point files and split them by place."""
