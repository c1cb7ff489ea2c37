"""Write class maps, polygons, styles and the strips that a map is made of."""
