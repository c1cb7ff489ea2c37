from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.legend import legend_from_names
from geoseg.domain.points import join_points, make_points
from geoseg.errors import PointsError
from geoseg.geodata.points.audit import audit_points as find_faults
from geoseg.geodata.points.audit import describe_disputed
from geoseg.geodata.reading.rasters import open_raster


def audit_points(points, sources):
    """Return the points that can be used, and how many cannot, by reason."""
    reason = find_faults(points, sources)
    return points.take(reason == ""), dict(Counter(reason[reason != ""].tolist()))


class Grid:
    """A raster in memory that remembers what was read of it."""

    def __init__(self, valid):
        self.valid = np.asarray(valid, bool)
        self.height, self.width = self.valid.shape
        self.windows = []

    def read(self, window):
        self.windows.append(window)
        valid = np.zeros((window.height, window.width), bool)
        part = window.clipped(self.height, self.width)
        row, col = part.row - window.row, part.col - window.col
        inside = self.valid[part.row : part.row + part.height, part.col : part.col + part.width]
        valid[row : row + part.height, col : col + part.width] = inside
        return np.zeros((1, *valid.shape), np.float32), valid


ALL_VALID = Grid(np.ones((10, 10)))


def test_points_on_nodata_are_dropped_and_counted():
    valid = np.ones((4, 4))
    valid[1, 2] = 0
    points = make_points("a", [1, 1, 3], [2, 1, 3], [0, 0, 1])

    left, dropped = audit_points(points, {"a": Grid(valid)})

    assert left.col.tolist() == [1, 3]
    assert dropped == {"on nodata": 1}


def test_a_pixel_reaches_half_a_pixel_around_its_centre():
    valid = np.zeros((3, 3))
    valid[1, 1] = 1
    points = make_points("a", [0.5, 1.49, 0.49, 1.5], [0.5, 1.49, 1, 1], [0, 0, 0, 0])

    left, dropped = audit_points(points, {"a": Grid(valid)})

    assert left.row.tolist() == [0.5]
    assert dropped == {"on nodata": 2, "repeated on one pixel": 1}


def test_a_point_outside_its_raster_is_on_nodata():
    points = make_points("a", [-0.51, 0, 9.5], [0, 0, 0], [0, 0, 0])

    assert audit_points(points, {"a": ALL_VALID})[1] == {"on nodata": 2}


def test_a_pixel_with_two_classes_loses_all_its_points():
    points = make_points("a", [2, 2.3, 1.9, 5], [2, 2, 2, 5], [0, 1, 0, 1])

    left, dropped = audit_points(points, {"a": ALL_VALID})

    assert left.row.tolist() == [5]
    assert dropped == {"two classes on one pixel": 3}


def test_a_pixel_with_one_class_twice_keeps_the_first_point():
    points = make_points("a", [2.3, 5, 2.0], [2, 5, 2], [1, 1, 1])

    left, dropped = audit_points(points, {"a": ALL_VALID})

    assert left.row.tolist() == [2.3, 5]
    assert dropped == {"repeated on one pixel": 1}


def test_the_same_pixel_of_two_images_is_two_pixels():
    points = make_points(["a", "b"], [2, 2], [2, 2], [0, 1])

    left, dropped = audit_points(points, {"a": ALL_VALID, "b": ALL_VALID})

    assert left.digest() == points.digest()
    assert dropped == {}


def test_only_the_parts_that_hold_points_are_read():
    raster = Grid(np.ones((2000, 2000)))
    points = make_points("a", [10, 20, 1500], [10, 15, 1900], [0, 0, 0])

    audit_points(points, {"a": raster})

    assert sorted(w.height * w.width for w in raster.windows) == [1, 11 * 6]


def test_no_window_is_larger_than_a_block():
    raster = Grid(np.ones((1000, 1000)))
    row, col = np.divmod(np.arange(0, 1_000_000, 997), 1000)

    audit_points(make_points("a", row, col, np.zeros(len(row), np.uint8)), {"a": raster})

    assert max(max(w.height, w.width) for w in raster.windows) <= 256


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_point_is_kept_or_counted(seed):
    rng = np.random.default_rng(seed)
    sources = {name: Grid(rng.random((6, 300)) < 0.8) for name in "ab"}
    count = 60
    points = make_points(
        rng.choice(["a", "b"], count), rng.uniform(-0.5, 5.5, count), rng.uniform(-0.5, 299.5, count),
        rng.integers(0, 3, count).astype(np.uint8),
    )  # fmt: skip

    left, dropped = audit_points(points, sources)

    assert len(left) + sum(dropped.values()) == count
    pixels = [(i, int(r + 0.5), int(c + 0.5)) for i, r, c in zip(left.image, left.row, left.col, strict=True)]
    assert len(set(pixels)) == len(pixels)
    assert all(sources[i].valid[r, c] for i, r, c in pixels)


def test_nodata_of_a_real_raster_is_found(write_raster):
    path = write_raster([[0, 7], [7, 7]], nodata=0)

    with open_raster(path) as raster:
        left, dropped = audit_points(make_points("a", [0, 0], [0, 1], [0, 0]), {"a": raster})

    assert left.col.tolist() == [1]
    assert dropped == {"on nodata": 1}


def test_a_point_on_an_image_without_a_raster_is_refused():
    with pytest.raises(PointsError, match="b: no raster has the image name of these points"):
        audit_points(make_points("b", [0], [0], [0]), {"a": ALL_VALID})


def test_every_point_may_be_unusable_and_there_may_be_none():
    points = make_points("a", [20, 2, 2], [0, 2, 2], [0, 0, 1])

    assert audit_points(points, {"a": ALL_VALID})[1] == {"on nodata": 1, "two classes on one pixel": 2}
    assert find_faults(join_points([]), {}).tolist() == []


def test_pixels_with_two_classes_are_named():
    legend = legend_from_names(["field", "wood", "water"])
    points = make_points(["a", "a", "b", "b", "a"], [2, 2.3, 7, 7, 5], [2, 2, 1, 1, 5], [0, 1, 2, 0, 1])
    sources = {"a": ALL_VALID, "b": ALL_VALID}

    said = describe_disputed(points, find_faults(points, sources), legend)

    assert said == (
        "Points of different classes share 2 pixel(s): row 2, column 2 of a (field and wood); "
        "row 7, column 1 of b (field and water)."
    )
    assert describe_disputed(points, np.full(5, ""), legend) == ""


def test_of_many_pixels_with_two_classes_three_are_named():
    places = np.repeat(np.arange(5.0), 2)
    points = make_points("a", places, places, [0, 1] * 5)

    said = describe_disputed(points, find_faults(points, {"a": ALL_VALID}), legend_from_names(["x", "y"]))

    assert said.startswith(
        "Points of different classes share 5 pixel(s): row 0, column 0 of a (x and y); row 1"
    )
    assert said.endswith("row 2, column 2 of a (x and y) and 2 more.")
