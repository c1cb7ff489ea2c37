"""Labelled points as tables of other code, and points drawn from a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.points import Points as PixelPoints
from geoseg.domain.ports import Progress
from geoseg.errors import PointsError
from geoseg.geodata.datasets.folders import legend_beside
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.points.dropped_points import describe_dropped
from geoseg.geodata.points.point_files import points_frame, read_points, write_points
from geoseg.geodata.points.point_places import shared_crs
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import read_mask
from geoseg.settings import SampleSettings
from geoseg.workflows.library.legends import LegendLike, as_legend, class_ids, numbered_legend
from geoseg.workflows.library.point_files import point_file
from geoseg.workflows.library.rasters import RasterLike, raster_grid, raster_grids
from geoseg.workflows.library.wording import PythonProgress, library_call, python_words
from geoseg.workflows.sample import describe_shortages, draw_points


@dataclass(frozen=True)
class Points:
    """Labelled points with their place on rasters and the legend of their classes.

    Attributes:
        table: The points in pixel coordinates: arrays ``row``, ``col`` (float64, (0, 0) is the centre of the first
            pixel), ``class_id`` (uint8), ``weight``, ``image``, ``source``, ``seed`` and ``role``, each of shape (P,).
        legend: The classes.
        grids: Rows, columns, CRS and transform of the rasters by image name.
    """

    table: PixelPoints
    legend: Legend
    grids: Mapping[str, RasterInfo]

    @classmethod
    @library_call
    def from_geodataframe(
        cls,
        frame: gpd.GeoDataFrame,
        raster: RasterLike,
        *,
        class_column: str | None = None,
        legend: LegendLike = None,
        progress: Progress | None = None,
    ) -> Self:
        """Place the points of a table on rasters; polygons and lines are sampled.

        Args:
            frame: Points, in any CRS if the raster has one; optional columns image, weight, source, seed and role.
            raster: A path, a NumPy array or a DataArray; or a list or dict of them.
            class_column: Column that holds the class; None: the first with a usual name.
            legend: Class names in the order of their ids; None: those that the points have.
            progress: Told of points that cannot be used; None shows warnings.

        Raises:
            PointsError: No point can be used, a column is missing, or one side has a CRS and the other has none.
            LegendError: The points have a class that the legend lacks.

        Example:
            >>> import geopandas, numpy
            >>> places = geopandas.points_from_xy([1.5, 2.5], [-0.5, -3.5])
            >>> frame = geopandas.GeoDataFrame({"class": ["water", "wood"]}, geometry=places)
            >>> points = Points.from_geodataframe(frame, numpy.zeros((3, 4, 4)))
            >>> points.counts(), points.table.row.tolist(), points.table.col.tolist()
            ({'water': 1, 'wood': 1}, [0.0, 3.0], [1.0, 2.0])
        """
        with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)):
            path = point_file(frame, Path(name))
            return cls._read(path, raster_grids(raster), legend, class_column, progress)

    @classmethod
    @library_call
    def from_file(
        cls,
        path: str | PathLike[str],
        raster: RasterLike,
        *,
        class_column: str | None = None,
        legend: LegendLike = None,
        progress: Progress | None = None,
    ) -> Self:
        """Read a point file, as :meth:`from_geodataframe` does a table.

        Args:
            path: GeoPackage, GeoJSON, Shapefile, CSV, Excel or anything in which GDAL finds positions.
            raster: As there.
            class_column: As there.
            legend: As there.
            progress: As there.

        Raises:
            PointsError: The file cannot be read, or as there.
            LegendError: As there.
        """
        return cls._read(Path(path), raster_grids(raster), legend, class_column, progress)

    @classmethod
    def _read(  # noqa: PLR0917 -- the arguments of both ways to read
        cls,
        path: Path,
        grids: Mapping[str, RasterInfo],
        legend: LegendLike,
        class_column: str | None,
        progress: Progress | None,
    ) -> Self:
        shown = PythonProgress(progress)
        file = read_points(path, grids, legend=as_legend(legend), options=PointOptions(class_column))
        for note in file.notes:
            shown.say(note)
        lost = len(file.dropped)
        told = [describe_dropped(file.dropped.counts(), len(file.points) + lost)] if lost else []
        for warning in (*file.warnings, *told):
            shown.warn(warning)
        return cls(file.points, file.legend, grids)

    def __len__(self) -> int:
        return len(self.table)

    def counts(self) -> dict[str, int]:
        """Return how many points each class has."""
        counted = self.table.counts(len(self.legend)).tolist()
        return dict(zip(self.legend.names, counted, strict=True))

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """Return the points as a table in the CRS of the first raster.

        Without a CRS and transform, x is col + 0.5 and y is -(row + 0.5), where QGIS shows them.

        Returns:
            Columns class, class_id, image, row, col, weight, source, seed, role and geometry.

        Raises:
            PointsError: Only some of the rasters have a CRS.
        """
        return points_frame(self.table, self.grids, self.legend, crs=shared_crs(self.grids))

    @library_call
    def to_file(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write a point file.

        Args:
            path: Ends in .gpkg, .geojson, .json or .csv.
            overwrite: Whether an existing file may be replaced.

        Raises:
            PointsError: Another suffix.
            OutputError: The file exists or cannot be written.
        """
        write_points(Path(path), self.table, self.grids, self.legend, overwrite=overwrite)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.counts().items())
        return f"Points({len(self)} on {len(self.grids)} raster(s): {counts})"


@library_call
def sample_points(  # noqa: PLR0913 -- the options of `geoseg points sample`
    mask: RasterLike,
    per_class: int = 10,
    *,
    seed: int = 0,
    tile: int | None = None,
    places: Literal["pixel", "component", "interior", "centre"] = "pixel",
    margin: int = 3,
    jitter: float = 2.0,
    location_error: float = 0.0,
    wrong_share: float = 0.0,
    legend: LegendLike = None,
    ignore_index: int = UNLABELLED,
    transform: Sequence[float] | None = None,
    crs: object = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Draw labelled points from a mask without replacement, as a person might have labelled them.

    The points of a small budget are among those of a larger one with the same seed.

    Args:
        mask: Class ids (rows, columns): a path, a NumPy array or a DataArray.
        per_class: Points of each class, in the mask or in each tile.
        seed: Seed of the draw, 0 or more.
        tile: Side of the tiles in pixels that each get ``per_class`` points; None: the mask as a whole.
        places: Where a point may lie: "pixel" (any of its class), "component" (first a connected component, then a pixel
            of it), "interior" (``margin`` away from other classes) or "centre" (the middle of a component).
        margin: Distance of "interior" from other classes in pixels.
        jitter: How far a "centre" may be missed in pixels, within the class.
        location_error: How far points lie from where they should in pixels, 1 to this many; 0 for exact points.
        wrong_share: Share of the points with the label of another class, 0 to below 1.
        legend: Class names in the order of their ids; None: those that the file names, else "0", "1" ...
        ignore_index: Value of unlabelled pixels of an array.
        transform: Affine of a NumPy array from pixel corners (col, row) to x, y.
        crs: CRS of a NumPy array, such as "EPSG:25832".
        progress: Told of classes with too few pixels; None shows warnings.

    Returns:
        A GeoDataFrame with the columns class, class_id, image, row, col, weight, source, seed, role and geometry.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        LegendError: The mask has a class that the legend lacks.
        PointsError: There is no pixel to draw.

    Example:
        >>> import numpy
        >>> mask = numpy.repeat([[0, 1, 255]], 8, axis=0)
        >>> points = sample_points(mask, per_class=3, legend=["field", "water"])
        >>> points["class"].value_counts(sort=False).to_dict()
        {'field': 3, 'water': 3}
    """
    protocol = SampleSettings(
        data=Path(),
        output=Path(),
        per_class=per_class,
        seed=seed,
        tile=tile,
        places=places,
        margin=margin,
        jitter=jitter,
        location_error=location_error,
        wrong_share=wrong_share,
    )
    name = Path(mask).stem if isinstance(mask, str | PathLike) else "mask"
    ids, found = _read_mask(mask, as_legend(legend), ignore_index)
    masks, grids = {name: ids}, {name: raster_grid(mask, name, transform=transform, crs=crs)}
    drawn = draw_points(masks, protocol, per_class=per_class, classes=len(found), seed=seed)
    if not len(drawn.points):
        raise PointsError("the mask has no pixel to draw", where=name)
    for text in describe_shortages(drawn, found):
        PythonProgress(progress).warn(text)
    return Points(drawn.points, found, grids).to_geodataframe()


def _read_mask(
    mask: RasterLike, legend: Legend | None, ignore_index: int
) -> tuple[NDArray[np.uint8], Legend]:
    """Return class ids (H, W), 255 where there is none, and their legend."""
    if not isinstance(mask, str | PathLike):
        ids = class_ids(mask, "mask", ignore_index=ignore_index)
        ids = ids[0] if ids.ndim == 3 and len(ids) == 1 else ids
        return ids, legend or numbered_legend(ids)
    path = Path(mask)
    legend = legend or legend_beside(path)
    if legend is not None:
        return read_mask(path, legend), legend
    ids, _, own = read_class_map(path)
    return ids, own or numbered_legend(ids)


def as_points(points: Any) -> Any:
    """Return a Points object as a table; anything else as it is."""
    return points.to_geodataframe() if isinstance(points, Points) else points
