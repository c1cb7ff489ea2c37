"""The HTTP door: an API of trained models, and jobs for large rasters."""
