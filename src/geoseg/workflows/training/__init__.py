"""Train a model from points."""
