from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import RasterError
from geoseg.geodata.reading.grids import RasterInfo, check_same_grid, resampled_grid, with_resolution


def grid(crs: str | None, transform: Affine, height: int = 10, width: int = 10) -> RasterInfo:
    wkt = CRS.from_user_input(crs).to_wkt() if crs else None
    info = RasterInfo(Path("a.tif"), height, width, 1, "uint8", wkt, tuple(transform)[:6], None, None)
    return with_resolution(info)


UTM = grid("EPSG:32617", Affine(0.6, 0, 280000.2, 0, -0.6, 4304584.8))


def test_zero_zero_is_the_centre_of_the_first_pixel() -> None:
    row, col = UTM.xy_to_rowcol(np.array([280000.5, 280001.1]), np.array([4304584.5, 4304583.3]))
    assert row.tolist() == [0, 2]
    assert col.tolist() == [0, 1]
    x, y = UTM.rowcol_to_xy(row, col)
    assert x.tolist() == pytest.approx([280000.5, 280001.1], abs=1e-6)
    assert y.tolist() == pytest.approx([4304584.5, 4304583.3], abs=1e-6)


def test_resolution_of_a_projected_raster_is_its_pixel_size() -> None:
    assert UTM.resolution_m == 0.6


def test_resolution_counts_feet_as_feet() -> None:
    feet = grid("EPSG:2264", Affine(2, 0, 2000000, 0, -2, 700000))
    assert feet.resolution_m == pytest.approx(2 * 1200 / 3937)


def test_resolution_of_a_turned_raster_is_the_length_of_its_sides() -> None:
    turned = Affine.translation(500000, 4000000) @ Affine.rotation(30) @ Affine.scale(2, -2)
    assert grid("EPSG:32617", turned).resolution_m == pytest.approx(2)


def test_resolution_in_degrees_is_measured_at_the_centre() -> None:
    # One degree at the equator, WGS 84: 111.320 km east, 110.574 km north (Bowring).
    equator = grid("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 0.05))
    assert equator.resolution_m == pytest.approx(math.sqrt(1113.20 * 1105.74), rel=1e-4)
    # At 60 degrees a degree is 55.800 km east and 111.412 km north.
    north = grid("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 60.05))
    assert north.resolution_m == pytest.approx(math.sqrt(558.00 * 1114.12), rel=1e-4)


def test_resolution_in_web_mercator_is_that_on_the_ground() -> None:
    # 60 degrees north: about half of the nominal 2 m (the ellipsoid adds less than 1 %).
    info = grid("EPSG:3857", Affine(2, 0, 0, 0, -2, 8399737.9))
    assert info.resolution_m == pytest.approx(1, rel=0.01)


def test_no_crs_no_resolution() -> None:
    info = grid(None, Affine.identity())
    assert info.resolution_m is None
    assert not info.is_georeferenced
    with pytest.raises(RasterError, match="a coordinate reference system"):
        resampled_grid(info, 1)


def test_a_resampled_grid_has_square_pixels_and_the_same_corner() -> None:
    oblong = grid("EPSG:32617", Affine(2, 0, 500000, 0, -1, 4000000), height=9, width=5)
    new, rows, cols = resampled_grid(oblong, 2)
    assert (rows, cols) == (2, 1)
    assert (new.height, new.width) == (5, 5)
    assert new.transform == (2, 0, 500000, 0, -2, 4000000)
    assert new.resolution_m == 2


@pytest.mark.parametrize("resolution_m", [0, -1, math.nan, math.inf])
def test_an_impossible_resolution_is_refused(resolution_m: float) -> None:
    with pytest.raises(RasterError, match="metres"):
        resampled_grid(UTM, resolution_m)


def test_a_grid_is_like_itself_and_like_one_without_a_place() -> None:
    check_same_grid(UTM, UTM)
    check_same_grid(replace(UTM, crs=None, transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)), UTM)


def test_a_hair_off_is_the_same_grid_and_a_tenth_of_a_pixel_is_not() -> None:
    a, b, c, d, e, f = UTM.transform
    check_same_grid(replace(UTM, transform=(a, b, c + 0.0005 * a, d, e, f)), UTM)
    with pytest.raises(RasterError, match=r"0\.1 px away"):
        check_same_grid(replace(UTM, transform=(a, b, c + 0.1 * a, d, e, f)), UTM)


def test_another_size_or_crs_is_refused() -> None:
    with pytest.raises(RasterError, match="expected 10 x 10 px; got 10 x 11 px"):
        check_same_grid(replace(UTM, width=11), UTM)
    other = CRS.from_epsg(32618).to_wkt()
    with pytest.raises(
        RasterError, match=r"zone 17N \(EPSG:32617\); got WGS 84 / UTM zone 18N \(EPSG:32618\)"
    ):
        check_same_grid(replace(UTM, crs=other), UTM)


def test_two_names_for_the_same_crs_are_one() -> None:
    renamed = (
        str(UTM.crs).replace("WGS 84 / UTM zone 17N", "unnamed").replace(',AUTHORITY["EPSG","32617"]', "")
    )
    check_same_grid(replace(UTM, crs=renamed), UTM)
