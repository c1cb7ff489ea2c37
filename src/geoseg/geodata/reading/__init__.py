"""Read rasters: pixels, validity, grids and masks."""
