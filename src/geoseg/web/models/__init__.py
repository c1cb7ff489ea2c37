"""The models of a service: their files, and a registry in memory."""
