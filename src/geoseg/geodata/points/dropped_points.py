"""Unusable points of a file, with their positions and reasons."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.geodata.outputs.atomic_files import check_apart, check_output, whole_file
from geoseg.geodata.outputs.file_kinds import AUDIT, DROPPED, FileKind
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.reading.crs import transformer_between

LAYER, AUDIT_LAYER = "dropped", "audit"


@dataclass(frozen=True)
class DroppedPoints:
    """Unusable points of a file.

    Attributes:
        table: One row per point: file, number in the file (from 1), class, image, x, y and reason.
        crs: CRS of x and y. Without a CRS it is None, and points on images have x = col + 0.5 and y = -(row + 0.5).
    """

    table: pd.DataFrame
    crs: str | None

    def __len__(self) -> int:
        return len(self.table)

    def counts(self) -> dict[str, int]:
        """Return the number of dropped points by reason, the most frequent reason first."""
        return dict(Counter(self.table["reason"].tolist()).most_common())

    def joined(self, table: pd.DataFrame) -> DroppedPoints:
        """Return these points and further points of the same file."""
        return DroppedPoints(pd.concat([self.table, table], ignore_index=True), self.crs)

    def with_other_file(self, other: DroppedPoints) -> DroppedPoints:
        """Return these points and those of another file, in this CRS; their x and y are NaN if they cannot be transformed."""
        table = other.table
        if other.crs != self.crs:
            x, y = (table[name].to_numpy(np.float64) for name in ("x", "y"))
            x, y = _transform(x, y, source=other.crs, target=self.crs)
            table = table.assign(x=x, y=y)
        return self.joined(table)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """Return the points as a GeoDataFrame; a point without a position has no geometry."""
        x, y = (self.table[name].to_numpy(np.float64) for name in ("x", "y"))
        geometry = np.full(len(self), None, dtype=object)
        has_position = np.isfinite(x) & np.isfinite(y)
        geometry[has_position] = shapely.points(x[has_position], y[has_position])
        columns = self.table.drop(columns=["x", "y"])
        return gpd.GeoDataFrame(columns, geometry=geometry, crs=self.crs)


def _transform(
    x: NDArray[np.float64], y: NDArray[np.float64], *, source: str | None, target: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coordinates in another CRS, or NaN without a transformation."""
    unknown = np.full(len(x), np.nan)
    if source is None or target is None:
        return unknown, unknown
    try:
        transformer = transformer_between(source, target)
    except ProjError:
        return unknown, unknown
    return (x, y) if transformer is None else transformer.transform(x, y)


def point_rows(
    table: PointTable, classes: NDArray[np.str_], origin: NDArray[np.integer] | None = None
) -> pd.DataFrame:
    """Return the number, class, image and position of every row of a table of points.

    Args:
        table: The points.
        classes: Their classes (P,).
        origin: Row of the file that each point comes from (P,), from 0; None: each point is a row.
    """
    if table.xy is None:
        x, y = table.floats("col") + 0.5, -table.floats("row") - 0.5
    else:
        x, y = table.xy
    number = np.arange(1, len(table) + 1) if origin is None else origin + 1
    file = table.path.name
    return pd.DataFrame(
        {"file": file, "number": number, "class": classes, "image": table.texts("image"), "x": x, "y": y}
    )


def describe_dropped(dropped: Mapping[str, int], total: int) -> str:
    """Return a sentence with the numbers of dropped points by reason, out of ``total``."""
    count = sum(dropped.values())
    if not count:
        return f"Dropped none of {total} points."
    reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items())
    return f"Dropped {count} of {total} points: {reasons}."


def write_dropped(path: Path, dropped: DroppedPoints, *, overwrite: bool) -> None:
    """Write dropped points to the layer "dropped" of a GeoPackage. Without points the layer is empty.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    _write_layer(path, dropped, DROPPED, layer=LAYER, overwrite=overwrite)


def write_audit(path: Path, points: DroppedPoints, *, overwrite: bool) -> None:
    """Write all points of a file to the layer "audit" of a GeoPackage; the reason of a used point is empty.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    _write_layer(path, points, AUDIT, layer=AUDIT_LAYER, overwrite=overwrite)


def _write_layer(path: Path, points: DroppedPoints, kind: FileKind, *, layer: str, overwrite: bool) -> None:
    with whole_file(path, kind, overwrite=overwrite) as unfinished, warnings.catch_warnings():
        # Points on pictures have no CRS by design.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            points.to_geodataframe(), unfinished, layer=layer, driver="GPKG", geometry_type="Point"
        )


def check_dropped(path: Path, points: Path | None, *, overwrite: bool) -> None:
    """Check before any slow step that dropped points can be written.

    Raises:
        OutputError: The name does not end in .gpkg, the file exists and may not be replaced, it is not a file of
            dropped points, or it is the point file itself.
    """
    check_apart([path], [points])
    check_output(path, DROPPED, overwrite=overwrite)
