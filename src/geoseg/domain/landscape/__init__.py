"""Synthetic aerial images with dense reference masks."""
