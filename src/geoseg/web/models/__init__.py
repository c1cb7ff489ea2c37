"""Models of the service: model files and the registry in memory."""
