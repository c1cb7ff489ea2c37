"""Design-based accuracy and area of a class map: sampling designs, and the estimators that belong to them."""
