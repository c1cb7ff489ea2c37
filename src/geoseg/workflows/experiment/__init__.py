"""Compare recipes and budgets on a dataset."""
