"""Points that could not be used: which they are, where they lie, and why."""

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
from geoseg.geodata.outputs.file_kinds import DROPPED
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.reading.crs import transformer_between

LAYER = "dropped"


@dataclass(frozen=True)
class DroppedPoints:
    """Points of a file that could not be used.

    Attributes:
        table: A row for each point: the file, its number in the file (from 1), class, image, x, y and the reason.
        crs: What x and y are in; None without a CRS, where points on images lie at column + 0.5 and -(row + 0.5).
    """

    table: pd.DataFrame
    crs: str | None

    def __len__(self) -> int:
        return len(self.table)

    def counts(self) -> dict[str, int]:
        """Return how many points were dropped for each reason, the reason of most points first."""
        return dict(Counter(self.table["reason"].tolist()).most_common())

    def joined(self, table: pd.DataFrame) -> DroppedPoints:
        """Return these points and more of the same file."""
        return DroppedPoints(pd.concat([self.table, table], ignore_index=True), self.crs)

    def with_other_file(self, other: DroppedPoints) -> DroppedPoints:
        """Return these points and those of another file, brought to this CRS; without a way there, without a place."""
        table = other.table
        if other.crs != self.crs:
            x, y = (table[name].to_numpy(np.float64) for name in ("x", "y"))
            x, y = _brought(x, y, source=other.crs, target=self.crs)
            table = table.assign(x=x, y=y)
        return self.joined(table)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """Return the points with their places; a point without a place has no geometry."""
        x, y = (self.table[name].to_numpy(np.float64) for name in ("x", "y"))
        places = np.full(len(self), None, dtype=object)
        placed = np.isfinite(x) & np.isfinite(y)
        places[placed] = shapely.points(x[placed], y[placed])
        columns = self.table.drop(columns=["x", "y"])
        return gpd.GeoDataFrame(columns, geometry=places, crs=self.crs)


def _brought(
    x: NDArray[np.float64], y: NDArray[np.float64], *, source: str | None, target: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places in another CRS, NaN where there is no way."""
    nowhere = np.full(len(x), np.nan)
    if source is None or target is None:
        return nowhere, nowhere
    try:
        way = transformer_between(source, target)
    except ProjError:
        return nowhere, nowhere
    return (x, y) if way is None else way.transform(x, y)


def rows_of(table: PointTable, classes: NDArray[np.str_]) -> pd.DataFrame:
    """Return the number, class, image and place of every row of a point file."""
    if table.xy is None:
        x, y = table.floats("col") + 0.5, -table.floats("row") - 0.5
    else:
        x, y = table.xy
    number = np.arange(1, len(table) + 1)
    file = table.path.name
    return pd.DataFrame(
        {"file": file, "number": number, "class": classes, "image": table.texts("image"), "x": x, "y": y}
    )


def describe_dropped(dropped: Mapping[str, int], total: int) -> str:
    """Return one sentence on the points dropped, by reason, out of ``total``."""
    count = sum(dropped.values())
    if not count:
        return f"Dropped none of {total} points."
    reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items())
    return f"Dropped {count} of {total} points: {reasons}."


def write_dropped(path: Path, dropped: DroppedPoints, *, overwrite: bool) -> None:
    """Write dropped points as a GeoPackage with the layer "dropped", which is empty if there are none.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    with whole_file(path, DROPPED, overwrite=overwrite) as unfinished, warnings.catch_warnings():
        # Points on pictures have no CRS, and that is meant.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            dropped.to_geodataframe(), unfinished, layer=LAYER, driver="GPKG", geometry_type="Point"
        )


def check_dropped(path: Path, points: Path | None, *, overwrite: bool) -> None:
    """Make sure that dropped points can be written, before the work begins.

    Raises:
        OutputError: The name does not end in .gpkg, the file exists and may not be replaced, it holds something else
            than dropped points, or it is the point file itself.
    """
    check_apart([path], [points])
    check_output(path, DROPPED, overwrite=overwrite)
