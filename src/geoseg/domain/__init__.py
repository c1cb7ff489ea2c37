"""NumPy and SciPy only: the words and the arithmetic of the house, without files or devices."""
