"""Jobs: large rasters, mapped by workers in the background."""
