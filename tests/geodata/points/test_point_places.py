from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from affine import Affine

from geoseg.domain.points import make_points
from geoseg.errors import PointsError
from geoseg.geodata.points.point_places import find_places, map_positions, shared_crs
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.reading.grids import IDENTITY
from geoseg.geodata.reading.rasters import RasterInfo, describe_raster

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
        "on an unknown image",
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
        PointsError, match=r"the raster has a CRS and the points have none; .* Give the CRS of the points"
    ):
        find_places(table([1], [1], **columns), {"a": raster})


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson"])
def test_points_with_a_crs_are_refused_where_the_raster_has_none(name):
    with pytest.raises(
        PointsError, match=r"the points have a CRS and the raster has none; .* Assign a CRS to"
    ):
        find_places(table([1], [1], "EPSG:32617", name=name), {"a": PICTURE})


def test_points_without_crs_must_name_one_of_several_images():
    with pytest.raises(PointsError, match="need an image name"):
        find_places(table([1, 1], [-1, -1], image=["a", ""]), {"a": PICTURE, "b": PICTURE})


def test_rasters_with_and_without_crs_do_not_mix(raster):
    with pytest.raises(
        PointsError, match="some have none; expected a CRS in all rasters or in none; got none in b"
    ):
        shared_crs({"a": raster, "b": PICTURE})


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "EPSG:0", "somewhere"])
def test_a_crs_without_a_way_to_the_raster_is_refused(raster, crs):
    with pytest.raises(PointsError, match="there is no transformation from the CRS of the points"):
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


SITE = 'LOCAL_CS["site",UNIT["metre",1]]'


def degrees(write_raster, west, width, crs="EPSG:4326", step=1.0):
    """A raster of 10 rows from 5 north to 5 south, ``width`` columns from ``west`` on."""
    transform = Affine(step, 0, west, 0, -1, 5)
    return describe_raster(write_raster(np.ones((10, width)), crs=crs, transform=transform))


@pytest.mark.parametrize(
    ("west", "width", "x", "cols"),
    [
        (0, 360, [-170.5, 189.5, 10.5, 370.5, -0.5], [189, 189, 10, 10, 359]),
        (-180, 360, [190.5, -169.5, 350.5, 180], [10, 10, 170, -0.5]),
        (170, 20, [-170.5, 189.5, 170.5, -180], [19, 19, 0, 9.5]),
        (-190, 20, [170.5, -189.5, 530.5], [0, 0, 0]),
    ],
)
def test_longitudes_count_by_whole_turns(write_raster, west, width, x, cols):
    raster = degrees(write_raster, west, width)

    places = find_places(table(x, [0.5] * len(x), "EPSG:4326"), {"a": raster})

    assert places.fault.tolist() == [""] * len(x)
    assert places.col.tolist() == cols


def test_a_turn_does_not_bring_points_on_a_raster_that_they_are_not_on(write_raster):
    raster = degrees(write_raster, 170, 20)

    places = find_places(table([169.9, -169.9, 0, 529.5], [0] * 4, "EPSG:4326"), {"a": raster})

    assert places.fault.tolist() == ["outside every raster"] * 3 + ["outside every raster"]


def test_degrees_of_another_datum_count_by_whole_turns_too(write_raster):
    raster = degrees(write_raster, 170, 20, crs="EPSG:4269")

    assert find_places(table([-170.5], [0.5], "EPSG:4326"), {"a": raster}).col.tolist() == [19]


def test_metres_of_web_mercator_across_180_degrees_count_by_whole_turns(write_raster):
    # A million metres to each side of the 180th meridian.
    raster = degrees(write_raster, 19_037_508.342789244, 20, crs="EPSG:3857", step=100_000)

    places = find_places(table([-179.9, 179.9], [0, 0], "EPSG:4326"), {"a": raster})

    assert places.col.tolist() == pytest.approx([9.5 + 0.111, 9.5 - 0.111], abs=1e-3)


def test_utm_across_180_degrees_needs_no_turn(write_raster):
    # Zone 1 begins at the 180th meridian, 166,021 m east on the equator.
    raster = degrees(write_raster, 166_000, 40, crs="EPSG:32601")

    places = find_places(table([179.9999, -179.9999, 180.0001], [0, 0, 0], "EPSG:4326"), {"a": raster})

    assert places.col.tolist() == pytest.approx([9.8, 32, 32], abs=0.5)


def test_geojson_of_a_raster_in_0_to_360_degrees_is_within_180(write_raster):
    raster = degrees(write_raster, 0, 360)
    points = make_points("a", [0, 0, 0], [10, 189, 359], [0, 0, 0])

    x, y = map_positions(points, {"a": raster}, "OGC:CRS84")

    assert x.tolist() == [10.5, -170.5, -0.5]
    assert find_places(table(x, y, "OGC:CRS84"), {"a": raster}).col.tolist() == [10, 189, 359]


def test_points_and_raster_in_one_local_crs_need_no_way(write_raster):
    raster = describe_raster(write_raster(np.ones((6, 8)), crs=SITE, transform=Affine(1, 0, 10, 0, -1, 20)))

    places = find_places(table([13.5], [17.5], SITE), {"a": raster})
    (x,), (y,) = map_positions(make_points("a", [2], [3], [0]), {"a": raster}, shared_crs({"a": raster}))

    assert (places.row.tolist(), places.col.tolist()) == ([2], [3])
    assert (x, y) == (13.5, 17.5)


def test_no_message_shows_a_page_of_wkt(write_raster):
    raster = describe_raster(write_raster(np.ones((6, 8)), crs=SITE, transform=Affine(1, 0, 10, 0, -1, 20)))

    with pytest.raises(
        PointsError,
        match=r"points in site or in a CRS with a transformation to it; got WGS 84 \(EPSG:4326\)\.",
    ):
        find_places(table([13.5], [17.5], "EPSG:4326"), {"a": raster})
