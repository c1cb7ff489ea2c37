"""The epoch loop, its augmentation, and the quick recipe's convex fit."""
