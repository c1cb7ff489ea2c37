"""Patches and features as torch tensors."""
