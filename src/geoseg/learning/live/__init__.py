"""A linear head that is refitted after every click, on features computed once."""
