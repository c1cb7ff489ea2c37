"""Report of a model and its map."""
