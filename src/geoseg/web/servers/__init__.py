"""Servers that run the service: gunicorn, waitress, and workers for jobs."""
