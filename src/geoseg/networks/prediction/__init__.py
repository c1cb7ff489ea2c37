"""Prediction with torch networks, and their export as inference graphs."""
