"""Read tables with positions and classes, in the formats of spreadsheets and GIS programs."""
