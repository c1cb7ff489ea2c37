from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
from affine import Affine

from geoseg.domain.legend import LandClass, Legend, legend_from_names
from geoseg.domain.points import join_points, make_points
from geoseg.errors import LegendError, OutputError, PointsError
from geoseg.geodata.points.point_files import read_points, write_points
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.reading.grids import IDENTITY
from geoseg.geodata.reading.rasters import RasterInfo, describe_raster

FORMATS = ["points.gpkg", "points.geojson", "points.json", "points.csv"]
LEGEND = Legend(
    (
        LandClass(0, "water", "#0000ff"),
        LandClass(1, "bare land", "#d2a06e"),
        LandClass(2, '{"a": 1}', "#ffffff"),
        LandClass(3, "2024-05-01", "#000000"),
    )
)
TABLE = {"x": [500000.5, 500002.5], "y": [3999999.5, 3999998.5], "crs": ["EPSG:32617"] * 2}


@pytest.fixture
def rasters(write_raster):
    """Two rasters of 6 x 8 pixels of one metre; "b" lies 100 m east of "a"."""
    east = Affine(1, 0, 500100, 0, -1, 4000000)
    return {
        "a": describe_raster(write_raster(np.ones((6, 8)), "a.tif")),
        "b": describe_raster(write_raster(np.ones((6, 8)), "b.tif", transform=east)),
    }


@pytest.fixture
def plain():
    """Two pictures without CRS and transform."""
    return {name: RasterInfo(Path(name), 6, 8, 3, "uint8", None, IDENTITY, None, None) for name in "ab"}


def some_points():
    points = make_points(["b", "a", "a", "a"], [0, 5.25, 0.1, -0.5], [7, 0.125, 1 / 3, 7.49], [3, 0, 1, 2])
    return replace(
        points,
        weight=np.array([1, 0.1, 0, 2.5], np.float32),
        source=np.array(["simulated", "field", "2024-05-01", "[1]"]),
        seed=np.array([0, -1, 2**60 + 1, 7]),
        role=np.array(["train", "check", "train", "check"]),
    )


def assert_same(points, expected):
    for field in fields(expected):
        got, wanted = getattr(points, field.name), getattr(expected, field.name)
        if field.name in {"row", "col"}:
            wanted = np.round(wanted, 6)
        assert got.tolist() == wanted.tolist(), field.name
        assert got.dtype.kind == wanted.dtype.kind
    assert points.digest() == expected.digest()


def write_csv(folder, **columns):
    path = folder / "field.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


# There and back


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("frame", ["rasters", "plain"])
def test_points_are_read_back_as_they_were_written(tmp_path, request, name, frame):
    rasters, points = request.getfixturevalue(frame), some_points()

    write_points(tmp_path / name, points, rasters, LEGEND, overwrite=False)
    file = read_points(tmp_path / name, rasters, legend=LEGEND)

    assert_same(file.points, points)
    assert file.legend == LEGEND
    assert (file.notes, file.dropped.counts()) == ((), {})


GROUNDS = {
    "utm": ("EPSG:26917", Affine(0.6, 0, 270000.3, 0, -0.6, 4300000.9)),
    "turned": ("EPSG:25832", Affine(0.2, 0.05, 600000, 0.05, -0.2, 5700000)),
    "degrees": ("EPSG:4326", Affine(1e-5, 0, -83.2, 0, -1e-5, 38.9)),
    "feet": ("EPSG:2264", Affine(1, 0, 2000000, 0, -1, 700000)),
    "old datum": ("EPSG:31467", Affine(1, 0, 3500000, 0, -1, 5800000)),
    "towgs84": (
        "+proj=tmerc +lon_0=9 +k=1 +x_0=3500000 +ellps=bessel +towgs84=598.1,73.7,418.2,0.2,0.05,-2.4,6.7 +units=m",
        Affine(1, 0, 3500000, 0, -1, 5800000),
    ),
    "unnamed datum": (
        "+proj=lcc +lat_1=34.3 +lat_2=36.2 +lat_0=33.75 +lon_0=-79 +x_0=609601.22 +ellps=GRS80 +units=m",
        Affine(28.5, 0, 630534, 0, -28.5, 228114),
    ),
}


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson", "p.csv"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_sub_pixel_positions_survive_any_format_and_crs(tmp_path, write_raster, name, ground):
    crs, transform = GROUNDS[ground]
    rasters = {"a": describe_raster(write_raster(np.ones((50, 70)), "a.tif", crs=crs, transform=transform))}
    rng = np.random.default_rng(0)
    points = make_points("a", rng.uniform(-0.5, 49.5, 300), rng.uniform(-0.5, 69.5, 300), [0] * 300)

    write_points(tmp_path / name, points, rasters, LEGEND, overwrite=False)

    assert_same(read_points(tmp_path / name, rasters, legend=LEGEND).points, points)


@pytest.mark.parametrize("name", FORMATS)
def test_rasters_in_other_crs_share_one_file(tmp_path, write_raster, name):
    west = describe_raster(write_raster(np.ones((6, 8)), "a.tif"))
    x_zone_16 = Affine(1, 0, 1045000, 0, -1, 4018000)
    east = describe_raster(write_raster(np.ones((6, 8)), "b.tif", crs="EPSG:32616", transform=x_zone_16))
    rasters, points = {"a": west, "b": east}, some_points()

    write_points(tmp_path / name, points, rasters, LEGEND, overwrite=False)

    assert_same(read_points(tmp_path / name, rasters, legend=LEGEND).points, points)


def test_a_geopackage_alone_restores_the_legend(tmp_path, rasters):
    path = tmp_path / "points.gpkg"
    write_points(path, some_points(), rasters, LEGEND, overwrite=False)

    file = read_points(path, rasters, legend=None)

    assert file.legend == LEGEND
    assert_same(file.points, some_points())
    assert [tuple(layer) for layer in pyogrio.list_layers(path)] == [
        ("points", "Point"),
        ("legend", None),
        ("layer_styles", None),
    ]


# What other programs see


def test_a_geopackage_is_in_the_crs_of_the_raster(tmp_path, rasters):
    write_points(
        tmp_path / "p.gpkg", make_points("a", [0, 1.5], [0, 2], [0, 1]), rasters, LEGEND, overwrite=False
    )

    frame = gpd.read_file(tmp_path / "p.gpkg", layer="points")

    assert frame.crs.to_epsg() == 32617
    assert frame.geometry.x.tolist() == [500000.5, 500002.5]
    assert frame.geometry.y.tolist() == [3999999.5, 3999998.0]
    assert frame["class"].tolist() == ["water", "bare land"]
    assert list(frame.columns) == [
        *("class", "class_id", "image", "row", "col", "weight", "source", "seed", "role", "geometry")
    ]


def test_geojson_is_in_degrees(tmp_path, rasters):
    # Column 0 begins on the central meridian of zone 17, 81 degrees west.
    write_points(tmp_path / "p.geojson", make_points("a", [0], [-0.5], [0]), rasters, LEGEND, overwrite=False)

    frame = gpd.read_file(tmp_path / "p.geojson")

    assert '"crs"' not in (tmp_path / "p.geojson").read_text()
    assert frame.geometry.x[0] == pytest.approx(-81, abs=1e-12)
    assert frame.geometry.y[0] == pytest.approx(36.14, abs=0.01)


def test_csv_says_its_crs(tmp_path, rasters):
    write_points(tmp_path / "p.csv", make_points("b", [0], [0], [0]), rasters, LEGEND, overwrite=False)

    assert (tmp_path / "p.csv").read_text().splitlines() == [
        "class,class_id,image,row,col,weight,source,seed,role,x,y,crs",
        "water,0,b,0.0,0.0,1.0,field,-1,train,500100.5,3999999.5,EPSG:32617",
    ]


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson"])
def test_points_on_a_picture_lie_where_qgis_shows_it(tmp_path, plain, name):
    write_points(tmp_path / name, make_points("a", [0, 2], [0, 5], [0, 0]), plain, LEGEND, overwrite=False)

    frame = gpd.read_file(tmp_path / name, **({"layer": "points"} if name == "p.gpkg" else {}))

    assert frame.geometry.x.tolist() == [0.5, 5.5]
    assert frame.geometry.y.tolist() == [-0.5, -2.5]


# Writing refuses


def test_a_file_is_replaced_only_when_asked(tmp_path, rasters):
    path = tmp_path / "points.gpkg"
    write_points(path, some_points(), rasters, LEGEND, overwrite=False)

    with pytest.raises(OutputError, match="exists"):
        write_points(path, some_points(), rasters, LEGEND, overwrite=False)
    write_points(path, some_points().take(np.array([0])), rasters, LEGEND, overwrite=True)

    assert len(read_points(path, rasters, legend=None).points) == 1
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".tif"] == ["points.gpkg"]


def test_an_unknown_suffix_is_refused(tmp_path, rasters):
    with pytest.raises(PointsError, match=r"expected \.gpkg, \.geojson, \.json or \.csv; got \.shp"):
        write_points(tmp_path / "p.shp", some_points(), rasters, LEGEND, overwrite=False)


def test_points_on_an_image_without_a_raster_are_refused(tmp_path, rasters):
    with pytest.raises(PointsError, match="b: no raster has the image name of these points"):
        write_points(tmp_path / "p.csv", some_points(), {"a": rasters["a"]}, LEGEND, overwrite=False)
    assert not (tmp_path / "p.csv").exists()


# Classes


def read_classes(folder, rasters, values, legend=None, **options):
    path = write_csv(folder, label=values, **{k: v[:1] * len(values) for k, v in TABLE.items()})
    return read_points(path, rasters, legend=legend, **options)


def test_classes_without_a_legend_are_the_names_in_sorted_order(tmp_path, rasters):
    file = read_classes(tmp_path, rasters, ["wood", "field", "wood"])

    assert file.legend == legend_from_names(["field", "wood"])
    assert file.points.class_id.tolist() == [1, 0, 1]
    assert file.notes == ("The classes come from column 'label': field, wood.",)


def test_numbers_as_classes_are_sorted_as_numbers(tmp_path, rasters):
    file = read_classes(tmp_path, rasters, [10, 9, 10])

    assert file.legend.names == ("9", "10")
    assert file.points.class_id.tolist() == [1, 0, 1]


@pytest.mark.parametrize("values", [["water", "bare land"], [0, 1], ["0", "1"]])
def test_classes_are_names_or_ids_of_the_legend(tmp_path, rasters, values):
    assert read_classes(tmp_path, rasters, values, LEGEND).points.class_id.tolist() == [0, 1]


def test_names_that_are_numbers_come_before_ids(tmp_path, rasters):
    assert read_classes(
        tmp_path, rasters, [2, 1], legend_from_names(["2", "1"])
    ).points.class_id.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["water", "ice", "ice"], r"expected one of water, bare land, .*; got 'ice' \(2 points\)"),
        ([0, 4, -1], r"got '-1' \(1 points\), '4' \(1 points\)"),
        (["water", "1"], r"got '1' \(1 points\)"),
        (["Water ", "watre"], r"got 'watre' \(1 points\)\. Did you mean 'water' for 'watre'"),
    ],
)
def test_a_class_that_the_legend_lacks_is_refused_by_name_and_number(tmp_path, rasters, values, said):
    with pytest.raises(LegendError, match=r"field\.csv, column 'label': .*" + said):
        read_classes(tmp_path, rasters, values, LEGEND)


def test_points_without_a_class_are_dropped_and_counted(tmp_path, rasters):
    file = read_classes(tmp_path, rasters, ["water", None, " "], LEGEND)

    assert len(file.points) == 1
    assert file.dropped.counts() == {"without a class": 2}


def test_points_none_of_which_has_a_class_are_refused(tmp_path, rasters):
    with pytest.raises(PointsError, match="column 'label': no point has a class"):
        read_classes(tmp_path, rasters, [None, None])


def test_ids_may_be_written_with_decimals_that_are_none(tmp_path, rasters):
    assert read_classes(tmp_path, rasters, ["0.0", "1.0"], LEGEND).points.class_id.tolist() == [0, 1]


def test_gaps_do_not_turn_whole_numbers_into_fractions(tmp_path, rasters):
    geometry = gpd.points_from_xy([500000.5] * 3, [3999999.5] * 3)
    frame = gpd.GeoDataFrame({"class": [1.0, None, 0.0]}, geometry=geometry, crs=32617)
    frame.to_file(tmp_path / "p.gpkg")

    assert read_points(tmp_path / "p.gpkg", rasters, legend=None).legend.names == ("0", "1")


def test_the_class_column_is_the_one_asked_for_else_the_first_that_is_known(tmp_path, rasters):
    path = write_csv(tmp_path, id=[7, 8], stand=["a", "b"], Landcover=["c", "d"], **TABLE)

    assert read_points(path, rasters, legend=None).legend.names == ("c", "d")
    assert read_points(path, rasters, legend=None, options=PointOptions("stand")).legend.names == ("a", "b")


def test_a_file_without_a_class_column_is_refused_with_the_columns_there_are(tmp_path, rasters):
    path = write_csv(tmp_path, stand=["a", "b"], **TABLE)

    with pytest.raises(PointsError, match=r"no class column; got columns stand, x, y, crs.*--class-column"):
        read_points(path, rasters, legend=None)
    with pytest.raises(PointsError, match="no column 'kind'; got columns stand"):
        read_points(path, rasters, legend=None, options=PointOptions("kind"))


# The other columns


def test_columns_that_are_not_there_have_their_defaults(tmp_path, rasters):
    points = read_points(write_csv(tmp_path, label=["a", "b"], **TABLE), rasters, legend=None).points

    assert_same(points, make_points("a", [0, 1], [0, 2], [0, 1]))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("weight", [1, -0.5], "0 or more; got -0.5"),
        ("weight", [1, None], "0 or more; got nan"),
        ("weight", [1, np.inf], "expected numbers; got 'inf'"),
        ("weight", [1, "heavy"], r"expected numbers; .*'heavy'"),
        ("role", ["train", "test"], "expected train or check; got 'test'"),
        ("seed", [1, 1.5], r"whole numbers; got '1\.5'"),
        ("seed", [1, 2**70], "whole numbers"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_column(tmp_path, rasters, column, values, said):
    path = write_csv(tmp_path, label=["a", "b"], **TABLE, **{column: values})

    with pytest.raises(PointsError, match=rf"field\.csv, column '{column}': .*{said}"):
        read_points(path, rasters, legend=None)


# Nothing left


def test_points_outside_every_raster_are_dropped_and_counted(tmp_path, rasters):
    path = write_csv(tmp_path, label=["a", "b"], x=[500000.5, 0], y=[3999999.5, 0], crs=["EPSG:32617"] * 2)

    file = read_points(path, rasters, legend=None)

    assert file.points.row.tolist() == [0]
    assert file.dropped.counts() == {"outside every raster": 1}
    assert file.legend.names == ("a", "b")


def test_a_file_without_a_usable_point_is_refused_with_the_reasons(tmp_path, rasters):
    path = write_csv(tmp_path, label=["a", "a"], x=[0, None], y=[0, 0], crs=["EPSG:32617"] * 2)

    with pytest.raises(
        PointsError, match="Dropped 2 of 2 points: 1 outside every raster, 1 without a position"
    ):
        read_points(path, rasters, legend=None)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_points_can_be_written_but_is_refused_when_read(tmp_path, rasters, name):
    write_points(tmp_path / name, join_points([]), rasters, LEGEND, overwrite=False)

    with pytest.raises(PointsError):
        read_points(tmp_path / name, rasters, legend=LEGEND)
