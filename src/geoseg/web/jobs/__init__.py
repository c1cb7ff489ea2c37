"""Jobs: large rasters that are mapped one after the other by workers, and asked for later."""
