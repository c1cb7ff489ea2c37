"""Rasters of embeddings, decoded while they are read: AlphaEarth, and Tessera as GeoTIFF, NumPy tile or Zarr."""
