"""HTTP: problems, limits by endpoint, uploads and logs."""
