"""Labelling: a project of rasters, points and models that a page, QGIS and the terminal share."""
