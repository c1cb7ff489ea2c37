"""Tables with positions and classes, as spreadsheets and GIS programs write them."""
