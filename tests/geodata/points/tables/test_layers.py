from __future__ import annotations

import json
import shutil
import zipfile

import geopandas as gpd
import pytest
from shapely import Point

from geoseg.errors import PointsError
from geoseg.geodata.points.point_tables import PointOptions, read_point_table

HERE = [Point(500001, 4000001), Point(500002, 4000002), Point(500003, 4000003)]


def frame(geometry=HERE, crs="EPSG:32617", **columns):
    return gpd.GeoDataFrame(
        columns or {"class": ["field", "Gewässer", "wood"]}, geometry=list(geometry), crs=crs
    )


def classes(path, **options):
    return read_point_table(path, PointOptions(**options)).texts("class").tolist()


# Several layers


def test_of_several_layers_the_one_read_is_named_and_another_can_be_chosen(tmp_path):
    path = tmp_path / "two.gpkg"
    frame(HERE[:1], **{"class": ["old"]}).to_file(path, layer="old_test")
    frame().to_file(path, layer="field2024")

    table = read_point_table(path)

    assert table.warnings == (
        "two.gpkg: layer 'old_test' (1 rows) is used, not 'field2024' (3 rows). Choose another layer with --layer.",
    )
    assert classes(path, layer="field2024") == ["field", "Gewässer", "wood"]
    assert read_point_table(path, PointOptions(layer="FIELD2024")).warnings == ()


def test_points_come_before_polygons_and_a_class_column_before_none(tmp_path):
    path = tmp_path / "mixed.gpkg"
    squares = [point.buffer(5) for point in HERE]
    frame(squares).to_file(path, layer="a_polygons")
    frame(stand=list("abc")).to_file(path, layer="b_points")
    assert read_point_table(path).notes[0].startswith("mixed.gpkg: layer 'a_polygons' (3 rows) is used")
    assert classes(path) == ["field", "Gewässer", "wood"]

    frame(**{"class": ["x", "y", "z"]}).to_file(path, layer="c_points")
    assert classes(path) == ["x", "y", "z"]


def test_a_layer_without_rows_gives_way(tmp_path):
    path = tmp_path / "empty.gpkg"
    frame().iloc[:0].to_file(path, layer="points", engine="pyogrio", geometry_type="Point")
    frame().to_file(path, layer="samples")

    assert len(read_point_table(path)) == 3


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    frame().to_file(tmp_path / "f.gpkg", layer="samples")

    with pytest.raises(
        PointsError, match=r"f\.gpkg: the file has no layer 'sample'; expected one of samples"
    ):
        read_point_table(tmp_path / "f.gpkg", PointOptions(layer="sample"))


# Folders, archives and further formats


def test_a_file_geodatabase_is_read(tmp_path):
    frame().to_file(tmp_path / "f.gdb", driver="OpenFileGDB", layer="samples")

    assert classes(tmp_path / "f.gdb") == ["field", "Gewässer", "wood"]


def test_a_folder_of_shapefiles_is_read_as_layers(tmp_path):
    (tmp_path / "field").mkdir()
    frame().to_file(tmp_path / "field" / "b.shp")
    frame(HERE[:1], stand=["x"]).to_file(tmp_path / "field" / "a.shp")

    assert classes(tmp_path / "field") == ["field", "Gewässer", "wood"]
    assert read_point_table(tmp_path / "field", PointOptions(layer="a")).texts("stand").tolist() == ["x"]


@pytest.mark.parametrize("name", ["f.shp", "f.gpkg", "f.gdb", "f.csv"])
def test_a_zip_archive_is_read(tmp_path, name):
    folder = tmp_path / "in" / "sub"
    folder.mkdir(parents=True)
    if name == "f.csv":
        (folder / name).write_text("lon,lat,class\n1,2,field\n1,2,Gewässer\n1,2,wood\n", encoding="utf-8")
    else:
        frame().to_file(folder / name, **({"driver": "OpenFileGDB"} if name == "f.gdb" else {}))
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(tmp_path / "in"))

    assert classes(tmp_path / "f.zip") == ["field", "Gewässer", "wood"]


def test_a_damaged_archive_is_refused(tmp_path):
    (tmp_path / "f.zip").write_bytes(b"PK no")

    with pytest.raises(PointsError, match=r"f\.zip: the archive cannot be read"):
        read_point_table(tmp_path / "f.zip")


def test_a_fault_in_an_archive_is_told_of_the_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("sub/f.gpkg", b"not one")

    with pytest.raises(PointsError, match=rf"^{tmp_path}/f\.zip/sub/f\.gpkg: the point file cannot be read"):
        read_point_table(tmp_path / "f.zip")


@pytest.mark.parametrize("name", ["f.kml", "f.gpx", "f.fgb", "f.geojson", "f.gml"])
def test_further_formats_are_read(tmp_path, name):
    """GPX has no columns of its own choice; its points are waypoints, one layer of five."""
    column = "type" if name == "f.gpx" else "class"
    frame(**{column: ["field", "Gewässer", "wood"]}).to_crs(4326).to_file(tmp_path / name)

    table = read_point_table(tmp_path / name)

    assert sorted(table.texts(column).tolist()) == ["Gewässer", "field", "wood"]
    assert table.xy[0].tolist() == pytest.approx([-81, -81, -81], abs=1e-4)


@pytest.mark.parametrize(
    "code", ["urn:ogc:def:crs:EPSG::32617", "EPSG:32617", "http://www.opengis.net/def/crs/EPSG/0/32617"]
)
def test_geojson_may_declare_a_crs(tmp_path, code):
    frame().to_file(tmp_path / "f.geojson")
    text = (tmp_path / "f.geojson").read_text(encoding="utf-8")
    (tmp_path / "f.geojson").write_text(text.replace("urn:ogc:def:crs:EPSG::32617", code), encoding="utf-8")

    assert 'ID["EPSG",32617]' in read_point_table(tmp_path / "f.geojson").crs


def test_geojson_that_declares_none_may_be_in_the_crs_that_the_user_states(tmp_path):
    text = '{"type": "Feature", "properties": {"class": "a"}, "geometry": {"type": "Point", "coordinates": [500001, 4000001]}}'
    (tmp_path / "f.geojson").write_text(text)

    assert read_point_table(tmp_path / "f.geojson", PointOptions(crs="EPSG:32617")).crs == "EPSG:32617"


def test_a_list_in_geojson_is_a_text(tmp_path):
    place = {"type": "Point", "coordinates": [9, 48]}
    feature = {"type": "Feature", "properties": {"class": ["a", "b"]}, "geometry": place}
    empty = {"type": "Feature", "properties": {"class": None}, "geometry": None}
    text = json.dumps({"type": "FeatureCollection", "features": [feature, empty]})
    (tmp_path / "f.geojson").write_text(text)

    assert len(classes(tmp_path / "f.geojson")) == 2


def test_a_spreadsheet_with_coordinates_is_read(tmp_path):
    import pandas as pd
    import pyogrio

    columns = pd.DataFrame({"lon": [9.5, 10.25], "lat": [48.0, 49.5], "class": ["a", "b"]})
    pyogrio.write_dataframe(columns, tmp_path / "f.xlsx", driver="XLSX", layer="Sheet1")

    table = read_point_table(tmp_path / "f.xlsx")

    assert [values.tolist() for values in table.xy] == [[9.5, 10.25], [48.0, 49.5]]
    assert table.texts("class").tolist() == ["a", "b"]


def test_geoparquet_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "f.parquet").write_bytes(b"PAR1....PAR1")

    with pytest.raises(
        PointsError, match=r"f\.parquet: GeoParquet is not supported\. Save the points as GeoPackage"
    ):
        read_point_table(tmp_path / "f.parquet")


# Shapefiles that lost a file


@pytest.mark.parametrize(("encoding", "said"), [("utf-8", "UTF-8"), ("cp1252", "Windows-1252")])
def test_a_shapefile_without_cpg_keeps_its_umlauts(tmp_path, encoding, said):
    frame().to_file(tmp_path / "u.shp", encoding=encoding)
    (tmp_path / "u.cpg").unlink()

    table = read_point_table(tmp_path / "u.shp")

    assert table.texts("class").tolist() == ["field", "Gewässer", "wood"]
    assert table.notes == (f"u.cpg is missing; the texts were read as {said}.",)


def test_a_shapefile_without_shx_is_read_and_left_as_it_is(tmp_path):
    frame().to_file(tmp_path / "u.shp")
    (tmp_path / "u.shx").unlink()

    table = read_point_table(tmp_path / "u.shp")

    assert table.xy[0].tolist() == [500001, 500002, 500003]
    assert table.texts("class").tolist() == ["field", "Gewässer", "wood"]
    assert table.notes == ("u.shx is missing; the index was rebuilt.",)
    assert not (tmp_path / "u.shx").exists()


def test_a_shapefile_without_prj_has_the_crs_that_the_user_states(tmp_path):
    frame().to_file(tmp_path / "u.shp")
    (tmp_path / "u.prj").unlink()

    table = read_point_table(tmp_path / "u.shp")

    assert (table.crs, table.notes) == (None, ("u.prj is missing, so the file does not declare a CRS.",))
    assert read_point_table(tmp_path / "u.shp", PointOptions(crs="32617")).crs == "EPSG:32617"


def test_a_prj_of_esri_does_not_contradict_the_same_crs(tmp_path):
    frame().to_file(tmp_path / "u.shp")

    assert read_point_table(tmp_path / "u.shp", PointOptions(crs="EPSG:32617")).crs is not None
    with pytest.raises(PointsError, match=r"expected EPSG:32618 \(.*; got EPSG:32617 \("):
        read_point_table(tmp_path / "u.shp", PointOptions(crs="EPSG:32618"))


def test_a_shapefile_without_its_table_is_refused_by_the_missing_file(tmp_path):
    frame().to_file(tmp_path / "u.shp")
    (tmp_path / "u.dbf").unlink()

    with pytest.raises(
        PointsError, match=r"u\.shp: the Shapefile is incomplete; expected u\.dbf .*it contains the classes"
    ):
        read_point_table(tmp_path / "u.shp")


def test_a_shapefile_in_capitals_is_read(tmp_path):
    frame().to_file(tmp_path / "u.shp")
    for part in list(tmp_path.iterdir()):
        shutil.move(part, tmp_path / part.name.upper())

    assert classes(tmp_path / "U.SHP") == ["field", "Gewässer", "wood"]
