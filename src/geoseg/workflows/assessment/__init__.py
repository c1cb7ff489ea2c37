"""Score a class map or a model against masks or points."""
