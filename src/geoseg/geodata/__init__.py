"""Read and write rasters, point files, polygons and datasets."""
