"""Polygonise a class map strip by strip, and merge polygons across strips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.features import shapes
from scipy import ndimage

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.mapping.class_areas import sums_by_value
from geoseg.domain.mapping.prediction import STEPS, Strip
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.file_kinds import POLYGONS
from geoseg.geodata.outputs.styles import write_polygon_style
from geoseg.geodata.reading.grids import RasterInfo, apply_affine
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

LAYER = "classes"
_AT_ONCE = 20_000


@dataclass
class Region:
    """Connected pixels of one class in the strips read so far.

    Attributes:
        class_id: Their class.
        pixels: How many.
        m2: What they cover; NaN without a place on the ground.
        rated: How many of them have a confidence; pixels merged from another class have none.
        confidence: Sum of the confidence of these.
        pieces: Their outlines in each strip, in pixels from the raster's corner, x to the east and y to the south.
    """

    class_id: int
    pixels: int = 0
    m2: float = 0.0
    rated: int = 0
    confidence: float = 0.0
    pieces: list[shapely.Geometry] = field(default_factory=list)

    def absorb(self, other: Region) -> None:
        """Merge an adjacent region of the same class into this one."""
        self.pixels += other.pixels
        self.m2 += other.m2
        self.rated += other.rated
        self.confidence += other.confidence
        self.pieces += other.pieces

    def outline(self) -> shapely.Geometry:
        """Return one polygon of all pieces."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        # The union keeps corners where pieces met on a straight edge; simplifying by 0 removes them.
        return shapely.simplify(shapely.union_all(self.pieces), 0)


class RegionMerger:
    """Finds regions of 4-connected pixels of a class in strips from north to south.

    Kept are the regions that the last row touches, and the labels of that row.
    """

    def __init__(self) -> None:
        self._open = dict[int, Region]()
        self._row_labels: NDArray[np.int64] | None = None
        self._row_classes = np.zeros(0, np.uint8)
        self._next = 1

    def add(self, strip: Strip, pixel_m2: ArrayLike | None) -> Iterator[Region]:
        """Add the next strip and yield the regions that it completes.

        Args:
            strip: The strip.
            pixel_m2: What its pixels cover, of a shape that broadcasts to (h, w); None where that is not known.
        """
        (top, last_row), found = self._regions(strip, pixel_m2)
        owner = self._joined(top, strip.class_ids[0], found)
        roots = {owner[k]: region for k, region in found.items() if owner[k] == k}
        bottom = np.vectorize(owner.__getitem__, otypes=[np.int64])(last_row) if last_row.size else last_row
        last = set(np.unique(bottom).tolist())
        self._open = {k: region for k, region in roots.items() if k in last}
        self._row_labels, self._row_classes = bottom, strip.class_ids[-1].copy()
        yield from (region for k, region in roots.items() if k not in last)

    def finish(self) -> Iterator[Region]:
        """Yield the remaining regions at the end of the raster."""
        yield from self._open.values()
        self._open = {}

    def _regions(
        self, strip: Strip, pixel_m2: ArrayLike | None
    ) -> tuple[NDArray[np.int64], dict[int, Region]]:
        """Return the labels of the first and last row (2, W), new numbers and 0 for nodata, and all regions."""
        labels = np.zeros(strip.class_ids.shape, np.int32)
        classes, total = [UNLABELLED], 0
        for class_id in np.unique(strip.class_ids[strip.class_ids != UNLABELLED]):
            own, count = ndimage.label(strip.class_ids == class_id)
            labels += np.where(own, own + total, 0).astype(np.int32)
            classes += [int(class_id)] * count
            total += count
        pixels = np.bincount(labels.ravel(), minlength=total + 1)
        m2 = sums_by_value(labels, pixel_m2, total + 1)
        is_rated = strip.confidence != UNLABELLED
        rated = np.bincount(labels[is_rated], minlength=total + 1)
        confidence = np.bincount(labels[is_rated], strip.confidence[is_rated], minlength=total + 1) / STEPS
        first = self._next - 1
        found = {
            first + k: Region(classes[k], int(pixels[k]), float(m2[k]), int(rated[k]), float(confidence[k]))
            for k in range(1, total + 1)
        }
        place = Affine.translation(0, strip.window.row)
        for geometry, k in shapes(labels, mask=labels > 0, connectivity=4, transform=place):
            found[first + int(k)].pieces.append(shapely.geometry.shape(geometry))
        self._next += total
        ends = labels[[0, -1]].astype(np.int64)
        return np.where(ends > 0, ends + first, 0), found

    def _joined(
        self, labels: NDArray[np.int64], class_ids: NDArray[np.uint8], found: dict[int, Region]
    ) -> dict[int, int]:
        """Join the new regions, by their first row (W,), with the open ones above; return each one's label now."""
        found.update(self._open)
        owner = {0: 0, **{k: k for k in found}}

        def root(k: int) -> int:
            while owner[k] != k:
                owner[k] = owner[owner[k]]
                k = owner[k]
            return k

        if self._row_labels is not None:
            touching = (self._row_classes == class_ids) & (class_ids != UNLABELLED)
            pairs = np.unique(np.stack([self._row_labels[touching], labels[touching]]), axis=1)
            for above, below in pairs.T.tolist():
                one, other = root(above), root(below)
                if one != other:
                    owner[other] = one
                    found[one].absorb(found[other])
        return {k: root(k) for k in owner}


def polygon_table(
    regions: list[Region], info: RasterInfo, legend: Legend, *, simplify_m: float = 0.0
) -> geopandas.GeoDataFrame:
    """Return regions as polygons in the CRS of their raster: class id, class, pixels, square metres, mean confidence."""
    affine = info.affine
    outlines = np.array([region.outline() for region in regions], dtype=object)
    placed = shapely.transform(outlines, lambda xy: np.column_stack(apply_affine(affine, xy[:, 0], xy[:, 1])))
    if simplify_m:
        # Metres in the units of the CRS.
        step = simplify_m * math.hypot(affine.a, affine.d) / (info.resolution_m or 1)
        placed = shapely.simplify(placed, step)
    return geopandas.GeoDataFrame(
        {
            "class_id": np.array([r.class_id for r in regions], np.int32),
            "class": [legend.names[r.class_id] for r in regions],
            "pixels": np.array([r.pixels for r in regions], np.int64),
            "area_m2": np.array([r.m2 for r in regions], np.float64),
            "confidence": np.array([r.confidence / max(r.rated, 1) for r in regions], np.float64),
        },
        geometry=geopandas.array.from_shapely(placed, crs=info.crs),
    )


class PolygonWriter:
    """Writes the polygons of the strips of a map in batches."""

    def __init__(self, path: Path, info: RasterInfo, legend: Legend, *, simplify_m: float) -> None:
        self._path, self._info, self._legend, self._simplify_m = path, info, legend, simplify_m
        self._merger, self._waiting, self._has_layer = RegionMerger(), list[Region](), False

    def write(self, strip: Strip) -> None:
        """Add the next strip, from north to south."""
        self._keep(self._merger.add(strip, pixel_areas_m2(self._info, strip.window)))

    def finish(self) -> None:
        """Write the remaining polygons."""
        self._keep(self._merger.finish())
        self._flush()

    def _keep(self, regions: Iterator[Region]) -> None:
        for region in regions:
            self._waiting.append(region)
            if len(self._waiting) >= _AT_ONCE:
                self._flush()

    def _flush(self) -> None:
        if not self._waiting and self._has_layer:
            return
        table = polygon_table(self._waiting, self._info, self._legend, simplify_m=self._simplify_m)
        pyogrio.write_dataframe(
            table,
            self._path,
            layer=LAYER,
            driver="GPKG",
            geometry_type="Unknown" if self._simplify_m else "Polygon",
            append=self._has_layer,
        )
        self._waiting, self._has_layer = [], True


@contextmanager
def polygon_writer(
    path: Path,
    info: RasterInfo,
    legend: Legend,
    *,
    overwrite: bool,
    simplify_m: float = 0.0,
) -> Iterator[PolygonWriter]:
    """Yield a writer of polygons; when the block ends well, a GeoPackage with the layer ``classes`` and its QGIS style appears.

    A polygon is a region of 4-connected pixels of one class: class id, class, pixels, square metres, mean
    confidence of the pixels that have one (255 is none). The polygons of a map do not overlap and leave no gaps, unless they are simplified.

    Args:
        path: The GeoPackage.
        info: The raster.
        legend: The classes.
        overwrite: Whether an existing file is replaced.
        simplify_m: How far outlines may move (Douglas and Peucker, 1973), each by itself.

    Raises:
        OutputError: The file exists, or cannot be written. A partial file is removed.
    """
    with whole_file(path, POLYGONS, overwrite=overwrite) as partial:
        writer = PolygonWriter(partial, info, legend, simplify_m=simplify_m)
        yield writer
        writer.finish()
        write_polygon_style(partial, LAYER, legend)
