"""HTTP servers (gunicorn, waitress) and job worker processes."""
