"""Prediction of a raster in windows: blending, batching, test-time augmentation, class areas."""
