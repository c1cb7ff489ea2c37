from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from affine import Affine

from geoseg.domain.points import make_points
from geoseg.errors import PointsError
from geoseg.geodata.grids import IDENTITY
from geoseg.geodata.point_places import find_places, map_positions, shared_crs
from geoseg.geodata.point_tables import PointTable
from geoseg.geodata.rasters import RasterInfo, describe_raster

PICTURE = RasterInfo(Path("a.png"), 6, 8, 3, "uint8", None, IDENTITY, None, None)


@pytest.fixture
def raster(write_raster):
    """6 x 8 pixels of one metre from (500000, 4000000) to the south and east, EPSG:32617."""
    return describe_raster(write_raster(np.ones((6, 8))))


def table(x=None, y=None, crs=None, *, name="field.csv", **columns):
    xy = None if x is None else (np.asarray(x, float), np.asarray(y, float))
    rows = len(columns["row"]) if x is None else len(x)
    return PointTable(Path(name), pd.DataFrame(columns, index=range(rows)), xy, crs)


def test_map_coordinates_become_rows_and_columns_from_pixel_centres(raster):
    places = find_places(table([500000.5, 500007], [3999999.5, 3999994.25], "EPSG:32617"), {"a": raster})

    assert places.image.tolist() == ["a", "a"]
    assert places.row.tolist() == [0, 5.25]
    assert places.col.tolist() == [0, 6.5]
    assert places.fault.tolist() == ["", ""]


def test_degrees_are_brought_to_the_crs_of_the_raster(raster):
    (x,), (y,) = map_positions(make_points("a", [2], [3], [0]), {"a": raster}, "OGC:CRS84")

    places = find_places(table([x], [y], "OGC:CRS84"), {"a": raster})

    assert (places.row.tolist(), places.col.tolist()) == ([2], [3])


def test_a_raster_reaches_from_edge_to_edge_and_no_further(raster):
    x = [500000, 499999.999, 500007.999, 500008, 500004, 500004, 500004, 500004]
    y = [3999997] * 4 + [4000000, 4000000.001, 3999994.001, 3999994]

    places = find_places(table(x, y, "EPSG:32617"), {"a": raster})

    assert (places.image == "a").tolist() == [True, False, True, False] * 2
    assert places.fault[1] == "outside every raster"
    assert np.isnan(places.row[1])


def test_a_point_on_two_rasters_is_on_the_first_by_name_unless_it_says_otherwise(raster):
    rasters, crs = {"b": raster, "a": raster}, "EPSG:32617"

    assert find_places(table([500001], [3999999], crs), rasters).image.tolist() == ["a"]
    assert find_places(table([500001], [3999999], crs, image=["b"]), rasters).image.tolist() == ["b"]
    assert find_places(table([500001], [3999999], crs, image=[None]), rasters).image.tolist() == ["a"]


def test_every_fault_of_a_place_is_named(raster):
    x, y = [np.nan, 500001, 0, 0, np.inf], [3999999, 3999999, 0, 0, 0]

    places = find_places(table(x, y, "EPSG:32617", image=["", "c", "a", "", "a"]), {"a": raster})

    assert places.fault.tolist() == [
        "without a position",
        "on an image that is not there",
        "outside their image",
        "outside every raster",
        "without a position",
    ]


def test_a_place_that_the_projection_does_not_reach_is_outside(raster):
    places = find_places(table([0, -81], [95, 36.14], "OGC:CRS84"), {"a": raster})

    assert places.fault[0] == "outside every raster"


def test_points_on_a_picture_count_down_from_its_upper_edge():
    places = find_places(table([0.5, 7.75], [-0.5, -5.5]), {"a": PICTURE})

    assert (places.row.tolist(), places.col.tolist()) == ([0, 5], [0, 7.25])


def test_rows_and_columns_come_first_where_nothing_has_a_crs():
    places = find_places(table([0.5], [-0.5], row=[2], col=[3]), {"a": PICTURE})

    assert (places.row.tolist(), places.col.tolist()) == ([2], [3])


def test_a_transform_without_crs_places_points_without_crs(write_raster):
    raster = describe_raster(write_raster(np.ones((6, 8)), crs=None, transform=Affine(2, 0, 100, 0, -2, 50)))

    places = find_places(table([103], [47]), {"a": raster})
    (x,), (y,) = map_positions(make_points("a", [1], [1], [0]), {"a": raster}, None)

    assert (places.row.tolist(), places.col.tolist()) == ([1], [1])
    assert (x, y) == (103, 47)


def test_geojson_cannot_lack_a_crs_so_rows_and_columns_speak_for_it():
    points = table([3.5], [-2.5], "EPSG:4326", name="p.geojson", row=[2], col=[3])

    assert find_places(points, {"a": PICTURE}).col.tolist() == [3]


def test_rows_and_columns_alone_do_for_one_raster_and_with_an_image_for_several(raster):
    assert find_places(table(row=[2], col=[3]), {"a": raster}).row.tolist() == [2]

    places = find_places(table(row=[2, 3], col=[3, 3], image=["b", "a"]), {"a": raster, "b": raster})
    assert places.image.tolist() == ["b", "a"]


def test_rows_columns_and_image_stand_in_for_a_missing_crs(raster):
    places = find_places(table([1], [1], row=[2], col=[3], image=["a"]), {"a": raster})

    assert (places.row.tolist(), places.col.tolist()) == ([2], [3])


@pytest.mark.parametrize("columns", [{}, {"row": [2], "col": [3]}, {"image": ["a"]}])
def test_points_without_crs_are_refused_where_the_raster_has_one(raster, columns):
    with pytest.raises(
        PointsError, match=r"the raster has a CRS and the points have none; .* State the CRS of the points"
    ):
        find_places(table([1], [1], **columns), {"a": raster})


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson"])
def test_points_with_a_crs_are_refused_where_the_raster_has_none(name):
    with pytest.raises(
        PointsError, match=r"the points have a CRS and the raster has none; .* Give the raster its"
    ):
        find_places(table([1], [1], "EPSG:32617", name=name), {"a": PICTURE})


def test_points_without_crs_must_name_one_of_several_images():
    with pytest.raises(PointsError, match="must say on which image"):
        find_places(table([1, 1], [-1, -1], image=["a", ""]), {"a": PICTURE, "b": PICTURE})


def test_rasters_with_and_without_crs_do_not_mix(raster):
    with pytest.raises(PointsError, match="some have none; expected all or none; got none in b"):
        shared_crs({"a": raster, "b": PICTURE})


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "EPSG:0", "somewhere"])
def test_a_crs_without_a_way_to_the_raster_is_refused(raster, crs):
    with pytest.raises(PointsError, match="there is no way from the CRS of the points"):
        find_places(table([1], [1], crs), {"a": raster})


def test_a_crs_goes_by_its_code_if_it_has_one(write_raster, raster):
    unnamed = describe_raster(write_raster(np.ones((6, 8)), "u.tif", crs="+proj=utm +zone=17 +ellps=GRS80"))

    assert shared_crs({"a": raster}) == "EPSG:32617"
    assert shared_crs({"u": unnamed}).startswith("PROJCRS")
    assert shared_crs({"p": PICTURE}) is None
    assert shared_crs({}) is None


def test_an_unnamed_datum_on_the_same_ellipsoid_is_no_obstacle(write_raster):
    raster = describe_raster(write_raster(np.ones((6, 8)), crs="+proj=utm +zone=17 +ellps=GRS80"))

    places = find_places(table([500003.5], [3999997.5], "EPSG:26917"), {"a": raster})

    assert (places.row.tolist(), places.col.tolist()) == ([2], [3])
