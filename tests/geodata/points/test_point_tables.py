from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from shapely import MultiPoint, Point, Polygon

from geoseg.errors import LegendError, PointsError
from geoseg.geodata.points.point_tables import read_point_table


@pytest.fixture
def write_layer(tmp_path):
    """Write geometries and columns as a file that GDAL knows, and return its path."""

    def write(geometry, name="field.gpkg", *, layer=None, crs="EPSG:32617", **columns):
        path = tmp_path / name
        columns = columns or {"class": ["a"] * len(geometry)}
        gpd.GeoDataFrame(columns, geometry=geometry, crs=crs).to_file(
            path, **({"layer": layer} if layer else {})
        )
        return path

    return write


def write_text(folder, text, encoding="utf-8"):
    path = folder / "field.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("name", ["field.gpkg", "field.geojson", "field.shp", "field.fgb"])
def test_any_format_of_points_is_read(write_layer, name):
    table = read_point_table(
        write_layer([Point(-81, 36), Point(-82, 37)], name, crs="EPSG:4326", label=["a", "b"])
    )

    assert sorted(zip(*table.xy, table.texts("label"), strict=True)) == [(-82, 37, "b"), (-81, 36, "a")]
    assert "WGS 84" in table.crs


def test_multi_points_are_taken_apart_with_their_columns(write_layer):
    table = read_point_table(
        write_layer([MultiPoint([(1, 2), (3, 4)]), MultiPoint([(5, 6)])], label=["a", "b"])
    )

    assert table.xy[0].tolist() == [1, 3, 5]
    assert table.xy[1].tolist() == [2, 4, 6]
    assert table.texts("label").tolist() == ["a", "a", "b"]


def test_a_row_without_geometry_stays_without_a_position(write_layer):
    table = read_point_table(write_layer([None, Point(), MultiPoint(), Point(1, 2)], label=list("abcd")))

    assert np.isnan(table.xy[0]).tolist() == [True, True, True, False]
    assert table.texts("label").tolist() == list("abcd")


def test_heights_are_passed_over(write_layer):
    table = read_point_table(write_layer([Point(1, 2, 300)]))

    assert [values.tolist() for values in table.xy] == [[1], [2]]


def test_lines_and_polygons_are_kept_as_shapes(write_layer):
    square = Polygon([(0, 0), (1, 0), (1, 1)])

    table = read_point_table(write_layer([square, Point(1, 2), None]))

    assert table.shapes.tolist() == [square, None, None]
    assert np.isnan(table.xy[0]).tolist() == [True, False, True]


def test_of_several_layers_the_points_are_read(write_layer):
    write_layer([Polygon([(0, 0), (1, 0), (1, 1)])], layer="fields")
    path = write_layer([Point(1, 2)], layer="points")

    assert read_point_table(path).xy[0].tolist() == [1]


def test_a_file_may_say_that_it_has_no_crs(write_layer):
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        path = write_layer([Point(1, 2)], crs=None)

    assert read_point_table(path).crs is None
    assert (
        read_point_table(write_layer([Point(1, 2)], "b.gpkg", crs='LOCAL_CS["Undefined Cartesian SRS"]')).crs
        is None
    )


def test_a_table_without_positions_is_refused(tmp_path):
    pyogrio.write_dataframe(
        pd.DataFrame({"class": ["a"]}), tmp_path / "t.gpkg", layer="things", driver="GPKG"
    )

    with pytest.raises(PointsError, match=r"t\.gpkg: the file has no position columns; .*got columns class"):
        read_point_table(tmp_path / "t.gpkg")


def test_a_table_called_legend_is_one_if_it_has_ids_names_and_colours(write_layer):
    path = write_layer([Point(1, 2)], layer="points")
    pyogrio.write_dataframe(pd.DataFrame({"code": [3], "text": ["a"]}), path, layer="legend", driver="GPKG")

    assert read_point_table(path).legend is None


def test_a_legend_with_a_fault_is_refused_by_its_layer(write_layer):
    path = write_layer([Point(1, 2)], layer="points")
    table = pd.DataFrame({"id": [3], "name": ["a"], "color": ["#000000"]})
    pyogrio.write_dataframe(table, path, layer="legend", driver="GPKG")

    with pytest.raises(LegendError, match="layer 'legend': class ids must count up from 0"):
        read_point_table(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PointsError, match=r"none\.gpkg: no such file"):
        read_point_table(tmp_path / "none.gpkg")


def test_a_folder_without_a_point_file_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")

    with pytest.raises(PointsError, match=r"the folder has no point file; .*got photo\.jpg"):
        read_point_table(tmp_path)


@pytest.mark.parametrize("name", ["field.gpkg", "field.geojson", "field.txt", "field.csv"])
def test_a_file_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\xff\xfenot points at all\n\n")

    with pytest.raises(PointsError, match=rf"{name}: "):
        read_point_table(tmp_path / name)


def test_a_cut_off_geopackage_is_refused(write_layer):
    path = write_layer(shapely.points(np.zeros((50, 2))))
    path.write_bytes(path.read_bytes()[:5000])

    with pytest.raises(PointsError, match="cannot be read"):
        read_point_table(path)


@pytest.mark.parametrize(
    ("text", "xy", "crs"),
    [
        ("x,y,crs,class\n1.5,2,EPSG:32617,a\n", ([1.5], [2]), "EPSG:32617"),
        ("X,Y,class\n1,2,a\n", ([1], [2]), None),
        ("lon,lat,class\n-81,36,a\n", ([-81], [36]), "OGC:CRS84"),
        ("Longitude,Latitude,class\n-81,36,a\n", ([-81], [36]), "OGC:CRS84"),
    ],
)
def test_a_csv_has_map_coordinates_or_degrees(tmp_path, text, xy, crs):
    table = read_point_table(write_text(tmp_path, text))

    assert tuple(values.tolist() for values in table.xy) == xy
    assert table.crs == crs


def test_a_csv_may_have_rows_and_columns_only(tmp_path):
    table = read_point_table(write_text(tmp_path, "row,col,class\n3,4.5,a\n"))

    assert table.xy is None
    assert table.has_rowcol
    assert table.floats("col").tolist() == [4.5]


def test_a_csv_saved_by_a_spreadsheet_is_read(tmp_path):
    table = read_point_table(write_text(tmp_path, "class,x,y\nNA,1,\nnull,,2\n", encoding="utf-8-sig"))

    assert table.texts("class").tolist() == ["NA", "null"]
    assert np.isnan(table.xy[0]).tolist() == [True, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "class,easting\na,1\n",
            "no position columns; expected x and y, .*got columns class, easting",
        ),
        ("x,y,class\n1,west,a\n", r"field\.csv, column 'y': .*expected numbers, .*'west'"),
        ("x,y,crs\n1,1,EPSG:1\n1,1,EPSG:2\n", "one CRS for all points; got 'EPSG:1', 'EPSG:2'"),
        ("x,y\n1,2\n1,2,3,4\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_with_the_reason(tmp_path, text, said):
    with pytest.raises(PointsError, match=said):
        read_point_table(write_text(tmp_path, text))


def test_columns_are_found_in_the_order_asked_for_whatever_their_case(tmp_path):
    table = read_point_table(write_text(tmp_path, "x,y,Label,CLASS,class\n1,2,a,b,c\n"))

    assert table.find("class", "label") == "CLASS"
    assert table.find("kind", "label") == "Label"
    assert table.find("kind") is None
