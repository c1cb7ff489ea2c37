"""Synthetic feature vectors whose classes are separable in known ways, on landscapes of smooth regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

CRS = "EPSG:32633"
PIXEL_M = 10.0
NORTH_UP = Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 5_000_000)
"""Corner and pixels of the landscapes."""


def regions(
    height: int, width: int, *, classes: int = 3, seed: int = 0, size_px: float = 8
) -> NDArray[np.uint8]:
    """Return a landscape of classes in smooth regions (H, W)."""
    rng = np.random.default_rng(seed)
    fields = [
        ndimage.gaussian_filter(rng.normal(size=(height, width)), size_px, mode="wrap")
        for _ in range(classes)
    ]
    return np.stack([field / field.std() for field in fields]).argmax(axis=0).astype(np.uint8)


def linear(mask: NDArray[np.uint8], bands: int, *, noise: float = 0.5, seed: int = 1) -> NDArray[np.float32]:
    """Return vectors (B, H, W) around one centre for each class: a linear head separates them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(int(mask.max()) + 1, bands))
    return _as_bands(centres[mask] + noise * rng.normal(size=(*mask.shape, bands)))


def by_angle(mask: NDArray[np.uint8], bands: int, *, seed: int = 1) -> NDArray[np.float32]:
    """Return vectors (B, H, W) with one direction for each class and lengths over two orders of magnitude."""
    rng = np.random.default_rng(seed)
    found = linear(mask, bands, seed=seed) * np.exp(rng.normal(0, 1.5, mask.shape))
    return found.astype(np.float32)


def nonlinear(
    mask: NDArray[np.uint8], bands: int, *, noise: float = 0.15, seed: int = 1
) -> NDArray[np.float32]:
    """Return vectors (B, H, W) around four centres for each class, of equal means: no linear head separates them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(int(mask.max()) + 1, 4, bands))
    centres -= centres.mean(axis=1, keepdims=True)
    mode = rng.integers(0, 4, mask.shape)
    return _as_bands(centres[mask, mode] + noise * rng.normal(size=(*mask.shape, bands)))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (B, H, W) of length 1."""
    return vectors / np.linalg.norm(vectors, axis=0)


def write_points(
    path: Path, mask: NDArray[np.uint8], per_class: int, *, seed: int = 0, transform: Affine = NORTH_UP
) -> Path:
    """Write random points of each class of a landscape to a GeoPackage, at any place in their pixels."""
    import geopandas as gpd
    from shapely.geometry import Point

    rng = np.random.default_rng(seed)
    names, places = [], []
    for class_id in range(int(mask.max()) + 1):
        rows, cols = np.nonzero(mask == class_id)
        for k in rng.choice(len(rows), per_class, replace=False):
            x, y = transform @ (cols[k] + rng.uniform(0.1, 0.9), rows[k] + rng.uniform(0.1, 0.9))
            names.append(f"class {class_id}")
            places.append(Point(x, y))
    gpd.GeoDataFrame({"class": names}, geometry=places, crs=CRS).to_file(path)
    return path


def _as_bands(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(vectors, -1, 0), np.float32)
