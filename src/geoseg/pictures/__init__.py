"""Draw figures from arrays and values."""
