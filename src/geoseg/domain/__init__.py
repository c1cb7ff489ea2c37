"""Core concepts and algorithms in NumPy and SciPy, without access to files or devices."""
