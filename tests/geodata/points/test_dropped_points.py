"""Dropped points: which they are and why, and what would keep them."""

from __future__ import annotations

import geopandas
import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer

from geoseg.domain.points import make_points
from geoseg.errors import OutputError, PointsError
from geoseg.geodata.points.dropped_points import DroppedPoints, check_dropped, describe_dropped, write_dropped
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.bands_without_data import describe_bands_without_data
from geoseg.geodata.reading.rasters import describe_raster

COLUMNS = ["file", "number", "class", "image", "x", "y", "reason"]
DROPPED = DroppedPoints(
    pd.DataFrame(
        [
            ("p.csv", 2, "wood", "", 500_009.0, 3_999_999.0, "outside every raster"),
            ("p.csv", 5, "", "a", np.nan, np.nan, "without a class"),
        ],
        columns=COLUMNS,
    ),
    "EPSG:32617",
)


@pytest.fixture
def raster(write_raster):
    """6 x 8 pixels of one metre from (500000, 4000000) to the south and east, EPSG:32617."""
    return describe_raster(write_raster(np.ones((6, 8))))


def write_csv(path, rows, crs="EPSG:32617"):
    lines = [f"{x},{y},{crs},{name}" for x, y, name in rows]
    path.write_text("\n".join(["x,y,crs,class", *lines]))
    return path


def test_every_dropped_point_has_its_number_class_place_and_reason(raster, tmp_path):
    rows = [(500_000.5, 3_999_999.5, "a"), (500_009, 3_999_999, "b"), (500_001, 3_999_999, ""), ("", "", "a")]

    file = read_points(write_csv(tmp_path / "p.csv", rows), {"r": raster}, legend=None)

    assert file.dropped.table[["number", "class", "reason"]].to_numpy().tolist() == [
        [2, "b", "outside every raster"],
        [3, "", "without a class"],
        [4, "a", "without a position"],
    ]
    assert (file.dropped.table["x"][1], file.dropped.crs) == (500_009, "EPSG:32617")
    assert file.rows["number"].tolist() == [1]


def test_dropped_points_are_a_layer_with_reasons(tmp_path):
    write_dropped(tmp_path / "dropped.gpkg", DROPPED, overwrite=False)

    layer = geopandas.read_file(tmp_path / "dropped.gpkg", layer="dropped")
    assert layer["reason"].tolist() == ["outside every raster", "without a class"]
    assert (layer.geometry[0].x, layer.geometry[0].y, layer.geometry[1]) == (500_009, 3_999_999, None)
    assert layer.crs.to_epsg() == 32617


def test_dropped_points_of_another_file_join_in_the_crs_of_the_first():
    x, y = Transformer.from_crs("EPSG:32617", "EPSG:4326", always_xy=True).transform(500_009, 3_999_999)
    row = pd.DataFrame([("check.csv", 7, "wood", "", x, y, "on nodata")], columns=COLUMNS)

    both = DROPPED.with_other_file(DroppedPoints(row, "EPSG:4326")).table
    without = DROPPED.with_other_file(DroppedPoints(row, None)).table

    assert both["file"].tolist() == ["p.csv", "p.csv", "check.csv"]
    assert (both["x"][2], both["y"][2]) == pytest.approx((500_009, 3_999_999), abs=0.01)
    assert (without["number"][2], np.isnan(without["x"][2])) == (7, True)


def test_where_nothing_was_dropped_the_layer_is_empty(tmp_path):
    write_dropped(tmp_path / "dropped.gpkg", DroppedPoints(DROPPED.table[:0], None), overwrite=False)

    layer = geopandas.read_file(tmp_path / "dropped.gpkg", layer="dropped")
    assert (len(layer), "reason" in layer) == (0, True)


def test_a_file_that_is_there_and_a_name_that_is_no_geopackage_are_refused(tmp_path):
    (tmp_path / "there.gpkg").write_text("mine")

    with pytest.raises(OutputError, match=r"exists|not replaced"):
        check_dropped(tmp_path / "there.gpkg", None, overwrite=False)
    with pytest.raises(OutputError, match="is an input of the same command"):
        check_dropped(tmp_path / "there.gpkg", tmp_path / "there.gpkg", overwrite=True)
    with pytest.raises(OutputError, match=r"\.gpkg"):
        check_dropped(tmp_path / "dropped.csv", None, overwrite=True)


def test_overwrite_replaces_dropped_points_and_never_the_points_of_a_user(tmp_path):
    path = tmp_path / "field.gpkg"
    points = geopandas.GeoDataFrame(
        {"class": ["a"]}, geometry=geopandas.points_from_xy([1], [2]), crs="EPSG:32617"
    )
    points.to_file(path)
    content = path.read_bytes()

    with pytest.raises(OutputError, match=r"field\.gpkg"):
        write_dropped(path, DROPPED, overwrite=True)
    assert path.read_bytes() == content
    for _ in range(2):
        write_dropped(tmp_path / "dropped.gpkg", DROPPED, overwrite=True)


def test_what_was_dropped_is_one_sentence():
    dropped = {"outside every raster": 5, "on nodata": 7}

    assert describe_dropped(dropped, 430) == "Dropped 12 of 430 points: 5 outside every raster, 7 on nodata."
    assert describe_dropped({}, 430) == "Dropped none of 430 points."
    assert DROPPED.counts() == {"outside every raster": 1, "without a class": 1}


def test_points_in_swapped_axes_are_told_so_with_both_places(raster, tmp_path):
    to_degrees = Transformer.from_crs("EPSG:32617", "EPSG:4326")  # latitude first
    swapped = [(*to_degrees.transform(500_000 + n, 4_000_000 - n), "a") for n in (3, 5)]
    path = write_csv(tmp_path / "p.csv", swapped, "EPSG:4326")

    with pytest.raises(PointsError) as fault:
        read_points(path, {"r": raster}, legend=None)

    said = str(fault.value)
    assert "Dropped 2 of 2 points: 2 outside every raster." in said
    assert "x 36.1447 to 36.1447 and y -81.0000 to -80.9999 in WGS 84 (EPSG:4326)" in said
    assert (
        "raster.tif lies at x 500,000 to 500,008 and y 3,999,994 to 4,000,000 in WGS 84 / UTM zone 17N"
        in said
    )
    assert "2 of 2 if x and y were swapped" in said


@pytest.mark.parametrize(
    ("crs", "cause"),
    [
        ("EPSG:4326", "1 of 1 if their CRS were WGS 84 / UTM zone 17N (EPSG:32617)"),
        ("EPSG:32618", "1 of 1 if their CRS were WGS 84 / UTM zone 17N (EPSG:32617)"),
        ("EPSG:32717", "1 of 1 if their CRS were WGS 84 / UTM zone 17N (EPSG:32617)"),
    ],
)
def test_points_in_a_crs_that_was_wrongly_declared_are_told_the_likely_one(raster, tmp_path, crs, cause):
    path = write_csv(tmp_path / "p.csv", [(500_001, 3_999_999, "a")], crs)

    with pytest.raises(PointsError) as fault:
        read_points(path, {"r": raster}, legend=None)

    assert cause in str(fault.value)


def test_degrees_that_say_they_are_metres_and_wrong_signs_are_told(raster, tmp_path):
    x, y = Transformer.from_crs("EPSG:32617", "EPSG:4326", always_xy=True).transform(500_004, 3_999_997)
    as_metres = write_csv(tmp_path / "m.csv", [(x, y, "a")])
    east = write_csv(tmp_path / "e.csv", [(-x, y, "a")], "EPSG:4326")

    with pytest.raises(PointsError, match=r"1 of 1 if their CRS were WGS 84 \(EPSG:4326\)"):
        read_points(as_metres, {"r": raster}, legend=None)
    with pytest.raises(PointsError, match="1 of 1 if east and west were exchanged"):
        read_points(east, {"r": raster}, legend=None)


def test_rows_that_count_downwards_on_a_picture_are_told(write_raster, tmp_path):
    picture = describe_raster(write_raster(np.ones((6, 8)), crs=None, transform=None))
    (tmp_path / "p.csv").write_text("x,y,class\n1.5,2.5,a\n3.5,4.5,b\n")

    with pytest.raises(PointsError, match=r"2 of 2 if y counted upwards \(with the other sign\)"):
        read_points(tmp_path / "p.csv", {"r": picture}, legend=None)


def test_many_points_outside_are_explained_and_a_few_are_not(raster, tmp_path):
    inside = [(500_000.5 + n % 8, 3_999_999.5, "a") for n in range(19)]
    few = read_points(write_csv(tmp_path / "f.csv", [*inside, (0, 0, "b")]), {"r": raster}, legend=None)
    many = read_points(write_csv(tmp_path / "m.csv", [*inside[:3], (0, 0, "b")]), {"r": raster}, legend=None)

    assert (few.misplaced, few.warnings, many.warnings) == ("", (), ())
    assert many.misplaced.startswith("They lie at x 0.0000 to 0.0000")


def test_the_band_that_keeps_points_from_being_used_is_named(write_raster):
    values = np.ones((3, 4, 4))
    values[1, :2] = 0
    values[:, 3] = 0
    info = describe_raster(write_raster(values, nodata=0))
    on_band_2 = make_points("a", [0, 1, 3], [0, 1, 0], [0, 1, 0])

    said = describe_bands_without_data(on_band_2, {"a": info}, (1, 2, 3))

    assert said.startswith("At 2 of them, only band 2 has no data (its nodata value is 0)")
    assert describe_bands_without_data(make_points("a", [3], [0], [0]), {"a": info}, (1, 2, 3)) == ""
    assert describe_bands_without_data(make_points("a", [], [], []), {"a": info}, (1, 2, 3)) == ""
