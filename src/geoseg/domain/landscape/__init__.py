"""Invented aerial landscapes with dense truth."""
