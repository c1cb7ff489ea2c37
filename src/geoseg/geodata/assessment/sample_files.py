"""Write samples of map pixels for an interpreter to label, and read them with their design."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from numpy.typing import NDArray

from geoseg.domain.assessment.drawing import Drawn
from geoseg.domain.legend import Legend, legend_from_records
from geoseg.domain.points import Points, make_points
from geoseg.errors import PointsError
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.file_kinds import ASSESSMENT_SAMPLE
from geoseg.geodata.outputs.styles import write_interpreter_form
from geoseg.geodata.points.point_files import write_point_layer
from geoseg.geodata.points.point_places import map_positions, shared_crs
from geoseg.geodata.points.point_tables import LEGEND_LAYER, PointOptions, PointTable, read_point_table
from geoseg.geodata.points.tables.delimited import read_delimited
from geoseg.geodata.points.tables.layers import unreadable
from geoseg.geodata.reading.grids import RasterInfo

SAMPLE_LAYER, UNITS_LAYER, STRATA_LAYER, DESIGN_LAYER = "sample", "units", "strata", "design"
MAP_CLASS, REFERENCE, UNSURE, NOTE = "map_class", "reference", "unsure", "note"
FORMAT = 1
_TABLES = (UNITS_LAYER, STRATA_LAYER, DESIGN_LAYER, LEGEND_LAYER)


@dataclass(frozen=True)
class StratumRow:
    """A stratum of a sample file: its number from 1, name, pixels, square metres (NaN if unknown), sampled pixels."""

    stratum: int
    name: str
    pixels: int
    area_m2: float
    sampled: int


def write_sample(  # noqa: PLR0913 -- the parts of the file
    path: Path,
    drawn: Drawn,
    strata: list[StratumRow],
    *,
    numbers: NDArray[np.int64],
    legend: Legend,
    names: Mapping[int, str],
    info: RasterInfo,
    design: Mapping[str, Any],
    show_map_class: bool,
    overwrite: bool,
) -> None:
    """Write a sample as GeoPackage: points with an interpreter's form, and tables of its design.

    Args:
        path: The file.
        drawn: The pixels; their ids count from 1 in this order.
        strata: The strata.
        numbers: Number of the stratum (n,) of each pixel.
        legend: The classes that the interpreter chooses from.
        names: Class names by map value.
        info: The map.
        design: What else ``estimate`` must know, as JSON values.
        show_map_class: Whether the points have a column with the map class.
        overwrite: Whether an unlabelled sample of this program may be replaced.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    ids = np.arange(1, len(drawn) + 1)
    map_class = [names[int(k)] for k in drawn.class_id]
    image = info.path.stem
    rasters = {image: info}
    crs = shared_crs(rasters)
    x, y = map_positions(unlabelled_points(image, drawn.row, drawn.col), rasters, crs)
    form = {
        "id": ids,
        REFERENCE: np.full(len(drawn), None, dtype=object),
        UNSURE: np.zeros(len(drawn), np.bool_),
        NOTE: np.full(len(drawn), None, dtype=object),
        "stratum": numbers,
        "inclusion_probability": drawn.inclusion_probability,
        **({MAP_CLASS: map_class} if show_map_class else {}),
    }
    units = {
        "id": ids,
        "row": drawn.row,
        "col": drawn.col,
        "x": x,
        "y": y,
        "stratum": numbers,
        "cluster": drawn.cluster,
        "inclusion_probability": drawn.inclusion_probability,
        "pixel_m2": drawn.pixel_m2,
        MAP_CLASS: map_class,
    }
    records = {**design, "format": FORMAT}
    table = {"key": list(records), "value": [json.dumps(v, ensure_ascii=False) for v in records.values()]}
    points = gpd.GeoDataFrame(form, geometry=gpd.points_from_xy(x, y), crs=crs)
    with whole_file(path, ASSESSMENT_SAMPLE, overwrite=overwrite) as partial:
        write_point_layer(partial, points, SAMPLE_LAYER)
        for layer, frame in (
            (UNITS_LAYER, pd.DataFrame(units)),
            (STRATA_LAYER, pd.DataFrame([vars(row) for row in strata])),
            (DESIGN_LAYER, pd.DataFrame(table)),
            (LEGEND_LAYER, pd.DataFrame(legend.to_records())),
        ):
            pyogrio.write_dataframe(frame, partial, layer=layer, driver="GPKG")
        shown = (MAP_CLASS,) if show_map_class else ()
        write_interpreter_form(partial, SAMPLE_LAYER, legend, shown=("id", *shown))


def unlabelled_points(image: str, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Points:
    """Return points at pixel centres whose class does not matter."""
    return make_points(image, rows.astype(np.float64), cols.astype(np.float64), np.zeros(len(rows), np.uint8))


@dataclass(frozen=True)
class SampleFile:
    """A sample file.

    Attributes:
        path: The file.
        labels: The points with the labels of the interpreter.
        units: The drawn pixels, by id.
        strata: The strata.
        design: Keys and values of the design.
        legend: The classes.
    """

    path: Path
    labels: PointTable
    units: pd.DataFrame
    strata: tuple[StratumRow, ...]
    design: Mapping[str, Any]
    legend: Legend


def read_sample(path: Path) -> SampleFile:
    """Read a sample file with its labels.

    Raises:
        PointsError: The file cannot be read, or lacks the tables that ``geoseg assess design`` writes.
    """
    path = Path(path)
    if not path.is_file():
        raise PointsError("no such file", where=path, hint="Check the path.")
    try:
        layers = {str(name) for name in pyogrio.list_layers(path)[:, 0]}
    except Exception as error:
        raise unreadable(path, error) from error
    missing = [name for name in (SAMPLE_LAYER, *_TABLES) if name not in layers]
    if missing:
        raise PointsError(
            "this is not a sample of geoseg assess design",
            where=path,
            expected=f"the layers {', '.join((SAMPLE_LAYER, *_TABLES))}",
            got=f"no {', '.join(missing)}",
            hint="Label the file itself, not a copy of one layer.",
        )
    units, strata, design, legend = (
        pyogrio.read_dataframe(path, layer=name, read_geometry=False) for name in _TABLES
    )
    try:
        values = {key: json.loads(text) for key, text in zip(design["key"], design["value"], strict=True)}
        rows = tuple(
            StratumRow(int(r.stratum), str(r.name_), int(r.pixels), float(r.area_m2), int(r.sampled))
            for r in strata.rename(columns={"name": "name_"}).astype({"area_m2": float}).itertuples()
        )
        units = units.astype({"pixel_m2": float, MAP_CLASS: str}).set_index("id")
        known = values["format"]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise PointsError("the tables of the sample are damaged", where=path, got=str(error)) from error
    if not units.index.is_unique:
        raise PointsError("the tables of the sample are damaged", where=path, got="ids that repeat")
    if known != FORMAT:
        raise PointsError("this sample has another format", where=path, expected=FORMAT, got=known)
    found = legend_from_records(legend.to_dict("records"), where=f"{path}, layer {LEGEND_LAYER!r}")
    labels = read_point_table(path, PointOptions(layer=SAMPLE_LAYER))
    return SampleFile(path, labels, units, rows, values, found)


def read_labels(path: Path) -> PointTable:
    """Read the labels of another interpreter: a copy of the sample, or a table with its ids.

    Raises:
        PointsError: The file cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        columns, notes, warnings = read_delimited(path)
        return PointTable(path, columns, None, None, notes=notes, warnings=warnings)
    layers = {str(name) for name in pyogrio.list_layers(path)[:, 0]} if path.is_file() else set()
    return read_point_table(path, PointOptions(layer=SAMPLE_LAYER if SAMPLE_LAYER in layers else None))
