"""Labelling projects on disk: a GeoPackage of labelled shapes that several programs edit at once."""
