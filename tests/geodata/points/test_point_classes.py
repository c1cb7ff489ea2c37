"""Classes of a point file: renamed by a table before the legend applies, and unknown ones named."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.domain.class_tables import LEFT_OUT
from geoseg.domain.legend import Legend, legend_from_names
from geoseg.domain.points import make_points
from geoseg.errors import LegendError, PointsError
from geoseg.geodata.points.point_classes import UNKNOWN_CLASS, WITHOUT_CLASS
from geoseg.geodata.points.point_files import PointFile, examine_points, read_points, write_points
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.points.tables.class_tables import read_class_table
from geoseg.geodata.reading.rasters import RasterInfo, describe_raster

TABLE = "from;to\nAsphalt;road\ngravel;road\nmud;\n"


@pytest.fixture
def rasters(write_raster) -> dict[str, RasterInfo]:
    return {"r": describe_raster(write_raster([[1] * 8]))}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def points_of(folder: Path, *classes: str) -> Path:
    rows = [f"0,{col},{name}" for col, name in enumerate(classes)]
    return write(folder / "p.csv", "\n".join(["row,col,class", *rows]))


def read(folder: Path, path: Path, rasters, legend: Legend | None = None, table: str = TABLE) -> PointFile:
    options = PointOptions(class_table=read_class_table(write(folder / "classes.csv", table)))
    return examine_points(path, rasters, legend=legend, options=options, drops_unknown=True)


def test_a_table_merges_classes_and_leaves_others_out(tmp_path: Path, write_raster) -> None:
    rasters = {"r": describe_raster(write_raster([[1] * 8], crs=None, transform=None))}
    path = points_of(tmp_path, "asphalt", "gravel", "water", "mud", "")
    file = read(tmp_path, path, rasters)
    assert file.legend.names == ("road", "water")
    assert file.points.class_id.tolist() == [0, 0, 1]
    assert file.dropped.table["reason"].tolist() == [LEFT_OUT, WITHOUT_CLASS]
    assert file.dropped.table["class"].tolist() == ["mud", ""]


def test_an_old_name_that_no_point_has_causes_a_warning(tmp_path: Path, write_raster) -> None:
    rasters = {"r": describe_raster(write_raster([[1] * 8], crs=None, transform=None))}
    file = read(tmp_path, points_of(tmp_path, "asphalt", "water"), rasters, table="from,to\nashpalt,road\n")
    assert file.warnings == (f"{tmp_path}/classes.csv: no point has the class 'ashpalt'.",)


def test_the_legend_in_the_file_is_merged_with_its_colours(tmp_path: Path, rasters) -> None:
    legend, path = legend_from_names(["asphalt", "mud", "gravel"]), tmp_path / "p.gpkg"
    write_points(path, make_points("r", [0, 0, 0], [1, 2, 3], [0, 1, 2]), rasters, legend, overwrite=False)
    file = read(tmp_path, path, rasters)
    assert file.legend.names == ("road",)
    assert file.legend.classes[0].color == legend.classes[0].color
    assert file.points.col.tolist() == [1, 3]


def test_a_given_legend_has_the_new_names(tmp_path: Path, write_raster) -> None:
    rasters = {"r": describe_raster(write_raster([[1] * 8], crs=None, transform=None))}
    legend = legend_from_names(["water", "road"])
    file = read(tmp_path, points_of(tmp_path, "asphalt", "water", "lava"), rasters, legend)
    assert file.points.class_id.tolist() == [1, 0]
    assert file.dropped.table["reason"].tolist() == [UNKNOWN_CLASS]
    with pytest.raises(LegendError, match="'lava'"):
        read_points(tmp_path / "p.csv", rasters, legend=legend_from_names(["water", "asphalt"]))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("old,new\na,b\n", "lacks a column"),
        ("from,to\na,b\nA,c\n", "gives one class two names; got 'b' and 'c' for 'a'"),
        ("from,to\n", "is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_rejected(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(PointsError, match=fault):
        read_class_table(write(tmp_path / "classes.csv", text))
    with pytest.raises(PointsError, match="no such class table"):
        read_class_table(tmp_path / "none.csv")
