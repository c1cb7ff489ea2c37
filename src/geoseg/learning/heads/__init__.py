"""Classifiers on features: logistic regression and random forest."""
