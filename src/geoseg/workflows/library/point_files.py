"""Points as other code holds them, written to a file that is read like any other point file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from numpy.typing import NDArray

from geoseg.domain.legend import Legend, legend_from_names
from geoseg.errors import PointsError, SettingsError
from geoseg.geodata.points.point_tables import LEGEND_LAYER, POINTS_LAYER

_KINDS = (
    "a path, a GeoDataFrame, a table with row, col and class, an array (row, col, class) or geoseg.Points"
)


def point_file(points: Any, folder: Path, images: Sequence[str] = ()) -> Path:
    """Return points as a file; tables and arrays are written to a folder.

    Args:
        points: A path, a GeoDataFrame, a DataFrame with row, col and class, an array (P, 3) of row, col and class; or
            a list of such arrays, one for each raster.
        folder: Where to write.
        images: Names of the rasters. A column image that names none of them is left out where there is one raster.

    Raises:
        SettingsError: It is something else.
        PointsError: A table has no points.
    """
    if isinstance(points, str | PathLike):
        return Path(points)
    legend = None
    if hasattr(points, "to_geodataframe"):
        legend, points = points.legend, points.to_geodataframe()
    if not isinstance(points, pd.DataFrame):
        points = _table_of_arrays(points, images)
    if len(images) == 1 and "image" in points and not points["image"].isin(images).any():
        points = points.drop(columns="image")
    if isinstance(points, gpd.GeoDataFrame):
        return _write_frame(points, folder / "points.gpkg", legend or _legend_of(points))
    _check_any(points)
    points.to_csv(folder / "points.csv", index=False)
    return folder / "points.csv"


def _check_any(table: pd.DataFrame) -> None:
    if not len(table):
        raise PointsError("the table holds no points", where="points")


def _legend_of(frame: pd.DataFrame) -> Legend | None:
    """Return the legend that the columns class and class_id give, as sampled points have them; None without one."""
    if not {"class", "class_id"} <= set(frame.columns):
        return None
    pairs = frame[["class_id", "class"]].drop_duplicates().sort_values("class_id")
    if pairs["class_id"].tolist() != list(range(len(pairs))) or pairs["class"].duplicated().any():
        return None
    return legend_from_names(map(str, pairs["class"]))


def _write_frame(frame: gpd.GeoDataFrame, path: Path, legend: Legend | None) -> Path:
    _check_any(frame)
    # A GeoPackage has a column fid of its own.
    clash = [name for name in frame.columns if str(name).lower() == "fid"]
    with warnings.catch_warnings():
        # Points on images that are not georeferenced have no CRS, and that is meant.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        frame.drop(columns=clash).to_file(path, driver="GPKG", layer=POINTS_LAYER, index=False)
    if legend is not None:
        pyogrio.write_dataframe(pd.DataFrame(legend.to_records()), path, layer=LEGEND_LAYER, driver="GPKG")
    return path


def _table_of_arrays(points: Any, images: Sequence[str]) -> pd.DataFrame:
    if isinstance(points, list | tuple) and len(points) == len(images) and all(_is_array(p) for p in points):
        parts = [_table(p).assign(image=image) for p, image in zip(points, images, strict=True)]
        return pd.concat(parts, ignore_index=True)
    if _is_array(points):
        return _table(points)
    raise SettingsError(
        "these are no points",
        where="points",
        expected=_KINDS,
        got=f"an array of shape {points.shape}" if isinstance(points, np.ndarray) else type(points).__name__,
    )


def _is_array(points: Any) -> bool:
    return isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == 3


def _table(points: NDArray[Any]) -> pd.DataFrame:
    classes = points[:, 2]
    if classes.dtype.kind == "f" and (classes == np.floor(classes)).all():
        classes = classes.astype(np.int64)
    return pd.DataFrame({"row": points[:, 0], "col": points[:, 1], "class": classes})
