from __future__ import annotations

from collections import Counter

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box

from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.reading.rasters import describe_raster

WEST, NORTH = 500000, 4000000


@pytest.fixture
def rasters(write_raster):
    """One raster of 40 x 60 pixels of one metre."""
    return {"a": describe_raster(write_raster(np.ones((40, 60)), "a.tif"))}


def at(left, top, right, bottom):
    """Return a rectangle by columns and rows of pixel edges."""
    return box(WEST + left, NORTH - bottom, WEST + right, NORTH - top)


def read(folder, rasters, *shapes, crs=None, per_polygon=10, **columns):
    columns = columns or {"class": [f"class {i}" for i in range(len(shapes))]}
    frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:32617")
    path = folder / "shapes.gpkg"
    (frame if crs is None else frame.to_crs(crs)).to_file(path)
    return read_points(path, rasters, legend=None, options=PointOptions(per_polygon=per_polygon))


def places(points):
    return sorted(zip(points.row.tolist(), points.col.tolist(), strict=True))


def test_a_polygon_gives_pixels_whose_centres_lie_inside_it(tmp_path, rasters):
    file = read(tmp_path, rasters, at(2, 3, 5, 5))

    assert places(file.points) == [(3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4)]
    assert file.points.weight.tolist() == pytest.approx([1 / 6] * 6)


def test_a_large_polygon_gives_as_many_points_as_a_small_one_and_weighs_the_same(tmp_path, rasters):
    file = read(tmp_path, rasters, at(0, 0, 40, 40), at(50, 10, 55, 15), per_polygon=4)

    assert Counter(file.points.class_id.tolist()) == {0: 4, 1: 4}
    assert len(set(places(file.points))) == 8
    assert file.points.weight.tolist() == [0.25] * 8
    assert "2 lines or polygons give up to 4 points each" in file.notes[0]


def test_the_draw_is_the_same_each_time_and_spreads_over_the_polygon(tmp_path, rasters):
    once = read(tmp_path, rasters, at(0, 0, 60, 40), per_polygon=30)
    again = read(tmp_path, rasters, at(0, 0, 60, 40), per_polygon=30)

    assert once.points.digest() == again.points.digest()
    assert once.points.col.min() < 15
    assert once.points.col.max() > 45


def test_holes_and_parts_count(tmp_path, rasters):
    ring = Polygon(at(0, 0, 3, 3).exterior, [at(1, 1, 2, 2).exterior])

    file = read(tmp_path, rasters, MultiPolygon([ring, at(10, 10, 12, 11)]), per_polygon=50)

    assert places(file.points) == sorted(
        [(r, c) for r in range(3) for c in range(3) if (r, c) != (1, 1)] + [(10, 10), (10, 11)]
    )
    assert file.points.weight.tolist() == pytest.approx([0.1] * 10)


def test_a_polygon_smaller_than_a_pixel_gives_the_pixel_it_lies_in(tmp_path, rasters):
    file = read(tmp_path, rasters, at(7.1, 8.1, 7.3, 8.3))

    assert (places(file.points), file.points.weight.tolist()) == ([(8, 7)], [1])


def test_a_line_gives_the_pixels_that_it_crosses(tmp_path, rasters):
    line = LineString([(WEST + 2.5, NORTH - 5.5), (WEST + 5.5, NORTH - 5.5)])

    assert places(read(tmp_path, rasters, line).points) == [(5, 2), (5, 3), (5, 4), (5, 5)]


def test_points_beside_polygons_keep_their_place_and_weight(tmp_path, rasters):
    file = read(
        tmp_path,
        rasters,
        Point(WEST + 1.25, NORTH - 1.5),
        at(4, 4, 6, 6),
        weight=[3.0, 2.0],
        **{"class": ["a", "b"]},
    )

    assert places(file.points)[0] == (1, 0.75)
    assert file.points.weight.tolist() == [3, 0.5, 0.5, 0.5, 0.5]


def test_a_polygon_counts_once_where_points_of_a_class_are_few(tmp_path, rasters):
    assert read(tmp_path, rasters, at(0, 0, 9, 9)).counts == (1,)


def test_polygons_in_another_crs_are_laid_on_the_raster(tmp_path, rasters):
    file = read(tmp_path, rasters, at(2, 3, 5, 5), crs="EPSG:4326")

    assert places(file.points) == [(3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4)]


def test_only_the_part_on_a_raster_counts_and_what_lies_outside_is_dropped(tmp_path, rasters):
    file = read(tmp_path, rasters, at(58, 39, 70, 50), at(100, 100, 110, 110), None)

    assert places(file.points) == [(39, 58), (39, 59)]
    assert file.dropped.counts() == {"outside every raster": 1, "without a position": 1}


def test_a_polygon_over_two_rasters_is_drawn_from_both(tmp_path, rasters, write_raster):
    east = describe_raster(
        write_raster(np.ones((40, 60)), "b.tif", transform=Affine(1, 0, WEST + 60, 0, -1, NORTH))
    )

    file = read(tmp_path, {**rasters, "b": east}, at(58, 0, 62, 2), per_polygon=50)

    assert Counter(file.points.image.tolist()) == {"a": 4, "b": 4}
    assert file.points.weight.tolist() == [0.125] * 8


def test_a_polygon_whose_outline_crosses_itself_is_read(tmp_path, rasters):
    x, y = WEST, NORTH
    bow_tie = Polygon([(x, y), (x + 10, y - 10), (x + 10, y), (x, y - 10)])

    assert len(read(tmp_path, rasters, bow_tie).points) == 10


def test_a_polygon_of_millions_of_pixels_is_drawn_from_at_once(tmp_path, write_raster):
    fine = Affine(0.001, 0, WEST, 0, -0.001, NORTH)
    info = describe_raster(write_raster(np.ones((40, 60)), "a.tif", transform=fine))
    huge = {"a": info.__class__(**{**info.__dict__, "height": 40_000, "width": 60_000})}

    file = read(tmp_path, huge, at(0, 0, 59, 39))

    assert len(set(places(file.points))) == 10


def test_of_a_collection_the_polygons_count(tmp_path, rasters):
    mixed = GeometryCollection([at(2, 3, 4, 4), LineString([(WEST, NORTH), (WEST + 9, NORTH - 9)])])

    assert places(read(tmp_path, rasters, mixed).points) == [(3, 2), (3, 3)]
