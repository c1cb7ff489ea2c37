"""Write the rows of a point file to a GeoPackage, with their own columns and a role."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.file_kinds import RESULT_TAG, SPLIT
from geoseg.geodata.points.point_tables import LEGEND_LAYER, POINTS_LAYER, PointTable

_RESERVED = ("fid", "geom", "geometry")
"""Names that a GeoPackage or its writer needs for itself."""


def write_rows(path: Path, table: PointTable, rows: NDArray[np.bool_], *, role: str, overwrite: bool) -> None:
    """Write some rows of a point file to the layer "points", and its legend to the layer "legend".

    Args:
        path: The GeoPackage.
        table: The point file.
        rows: The rows to write (P,).
        role: Value of the column ``role``, which is added or replaced.
        overwrite: Whether an earlier split may be replaced.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    frame = table.columns.drop(columns=[c for c in table.columns if str(c).lower() == "role"])
    frame = frame.rename(columns={c: f"{c}_1" for c in frame.columns if str(c).lower() in _RESERVED})
    frame = frame.assign(role=role)
    if table.xy is not None:
        frame = gpd.GeoDataFrame(frame, geometry=_geometry(table), crs=table.crs)
    with whole_file(path, SPLIT, overwrite=overwrite) as unfinished, warnings.catch_warnings():
        # Points on pictures have no CRS by design.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            frame[rows],
            unfinished,
            layer=POINTS_LAYER,
            driver="GPKG",
            dataset_metadata={RESULT_TAG: SPLIT.name},
        )
        if table.legend is not None:
            _write_legend(unfinished, table.legend)


def _write_legend(path: Path, legend: Legend) -> None:
    pyogrio.write_dataframe(pd.DataFrame(legend.to_records()), path, layer=LEGEND_LAYER, driver="GPKG")


def _geometry(table: PointTable) -> NDArray[np.object_]:
    assert table.xy is not None
    x, y = table.xy
    geometry = np.full(len(table), None, dtype=object) if table.shapes is None else table.shapes.copy()
    known = np.isfinite(x) & np.isfinite(y)
    geometry[known] = shapely.points(x[known], y[known])
    return geometry
