from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import shapely

from geoseg.errors import PointsError
from geoseg.geodata.points.tables.positions import find_columns, find_positions

FILE = Path("field.csv")


def find(stated_crs=None, **columns):
    return find_positions(pd.DataFrame(columns, dtype=str), FILE, stated_crs)


@pytest.mark.parametrize(
    "names",
    [
        *(("x", "y"), ("X", "Y"), ("xcoord", "ycoord"), ("X_coord", "Y_coord"), ("POINT_X", "POINT_Y")),
        *(
            ("easting", "northing"),
            ("Easting (m)", "Northing (m)"),
            ("x_25832", "y_25832"),
            ("x-coord", "y-coord"),
        ),
        *(("Rechtswert", "Hochwert"), ("UTM_X", "UTM_Y"), ("E", "N"), ("coord_x", "coord_y"), (" x ", " y")),
    ],
)
def test_map_coordinates_are_found_under_their_usual_names(names):
    assert find_columns(["id", names[1], names[0], "class"]) == (names, None)


@pytest.mark.parametrize(
    "names",
    [
        *(("lon", "lat"), ("Longitude", "Latitude"), ("long", "lat"), ("LNG", "LAT"), ("lon_dd", "lat_dd")),
        *(("decimalLongitude", "decimalLatitude"), ("GPS Longitude", "GPS Latitude"), ("Länge", "Breite")),
    ],
)
def test_degrees_are_found_under_their_usual_names(names):
    assert find_columns(["class", *names]) == (None, names)


def test_one_column_of_a_pair_is_no_position():
    assert find_columns(["x", "lat", "type", "proxy"]) == (None, None)


def test_map_coordinates_without_a_crs_give_way_to_degrees():
    columns = {"x": ["500000"], "y": ["5200000"], "lon": ["9"], "lat": ["47"]}

    assert find(**columns).crs == "OGC:CRS84"
    assert find(**columns).geometry.tolist() == [shapely.Point(9, 47)]
    assert find("32632", **columns).geometry.tolist() == [shapely.Point(500000, 5200000)]


@pytest.mark.parametrize("column", ["crs", "EPSG", "srid"])
def test_a_column_may_state_the_crs(column):
    assert find(x=["1"], y=["2"], **{column: ["32617"]}).crs == "EPSG:32617"


def test_the_users_crs_counts_where_the_file_states_none():
    assert find("EPSG:25832", x=["1"], y=["2"]).crs == "EPSG:25832"
    assert find("25832", lon=["512345"], lat=["5400000"]).crs == "EPSG:25832"


def test_a_crs_that_contradicts_the_files_is_refused_by_both_names():
    with pytest.raises(
        PointsError,
        match=r"another CRS; expected EPSG:25832 \(ETRS89 / UTM zone 32N\); got EPSG:4326 \(WGS 84\)\. Leave out --crs",
    ):
        find("EPSG:25832", x=["1"], y=["2"], crs=["EPSG:4326"])


def test_a_crs_that_is_none_is_refused():
    with pytest.raises(
        PointsError, match=r"--crs: the CRS is not known; expected a code such as .*; got Gauss"
    ):
        find("Gauss", x=["1"], y=["2"])


def test_metres_are_not_taken_for_degrees():
    with pytest.raises(
        PointsError, match=r"'lon' and 'lat': these are not degrees; .*got 512345, 5.4e\+06\. If they"
    ):
        find(lon=["512345"], lat=["5400000"])


def test_a_comma_that_may_mean_two_things_is_refused_in_metres_and_read_in_degrees():
    with pytest.raises(PointsError, match=r"'x' and 'y': the comma .*got 500,123"):
        find(x=["500,123"], y=["200,456"])

    assert find(lon=["9,123"], lat=["48,456"]).geometry.tolist() == [shapely.Point(9.123, 48.456)]


def test_rows_without_a_coordinate_have_no_position():
    assert find(x=["1", "", "NULL"], y=["2", "3", "4"]).geometry.tolist() == [shapely.Point(1, 2), None, None]


@pytest.mark.parametrize("column", ["WKT", "wkt_geom", "geometry"])
def test_wkt_gives_points_and_other_shapes(column):
    found = find(**{column: ["POINT (1 2)", "", "POLYGON ((0 0, 1 0, 1 1, 0 0))", "MultiPoint ((3 4))"]})

    kinds = [None if shape is None else shape.geom_type for shape in found.geometry]
    assert kinds == ["Point", None, "Polygon", "MultiPoint"]
    assert found.crs is None


def test_wkt_and_wkb_of_postgis_state_their_crs():
    hexadecimal = shapely.to_wkb(shapely.set_srid(shapely.Point(1, 2), 32617), hex=True, include_srid=True)

    assert find(geom=["SRID=32617;POINT (1 2)"]).crs == "EPSG:32617"
    assert find(geom=[hexadecimal]).crs == "EPSG:32617"
    assert find(geom=[hexadecimal]).geometry.tolist() == [shapely.Point(1, 2)]


def test_a_geometry_that_is_none_is_refused():
    with pytest.raises(
        PointsError, match=r"field\.csv, column 'wkt': a geometry cannot be read; .*'POINT \(1'"
    ):
        find(wkt=["POINT (1"])


def test_a_table_without_positions_has_none():
    assert find(kind=["a"]) is None


def test_a_column_that_states_no_crs_is_refused_by_its_name():
    with pytest.raises(
        PointsError, match=r"field\.csv, column 'crs': the CRS is not known; .*got UTM zone 32"
    ):
        find(x=["1"], y=["2"], crs=["UTM zone 32"])


@pytest.mark.parametrize(
    ("cell", "hint"), [("9°0'7\"E", "decimal degrees"), ("unknown", "Correct the cell, or leave it empty")]
)
def test_a_cell_that_is_no_number_is_named_with_its_row(cell, hint):
    with pytest.raises(PointsError, match=r"column 'lon'.*in row 2") as fault:
        find(lon=["9.1", cell], lat=["46.9", "46.9"])
    assert hint in str(fault.value)


@pytest.mark.parametrize("cell", ["NA", "n/a", "#N/A", "<Null>", " "])
def test_a_cell_without_a_value_has_no_position(cell):
    assert list(shapely.is_missing(find(lon=["9.1", cell], lat=["46.9", "46.9"]).geometry)) == [False, True]
