"""HTTP: problems, limits by address, deadlines, uploads and logs."""
