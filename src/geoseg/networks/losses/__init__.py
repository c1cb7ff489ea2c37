"""Losses at points, and losses on unlabelled pixels."""
