"""Features at points: patches of rasters, feature extractors, reading and the cache."""
