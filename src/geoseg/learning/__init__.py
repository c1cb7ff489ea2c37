"""Learning from points: loss, models, fitting, inference and the model file."""
