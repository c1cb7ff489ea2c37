"""Pixel values: their range, and nodata that the file does not declare."""
