"""The routes of the service, their parameters and answers."""
