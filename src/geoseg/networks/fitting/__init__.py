"""The training loop, augmentation, losses on unlabelled pixels, and the quick recipe."""
