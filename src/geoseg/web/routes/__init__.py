"""Routes of the service, their parameters and responses."""
