"""HTTP service: predictions by trained models, and jobs for large rasters."""
