"""Areas of pixels against geodesic polygons, worked out by pyproj with densified sides."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geoseg.domain.windows import Window
from geoseg.geodata.reading.grids import RasterInfo, with_resolution
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

WGS84_M2 = 510_065_621_724_089  # the surface of the ellipsoid
SIDE_STEPS = np.linspace(0, 1, 41)[:-1]


def grid(crs: str | None, transform: Affine, height: int, width: int) -> RasterInfo:
    wkt = CRS(crs).to_wkt("WKT2_2019") if crs else None
    info = RasterInfo(Path("a.tif"), height, width, 1, "uint8", wkt, tuple(transform)[:6], None, None)
    return with_resolution(info)


def areas(info: RasterInfo, window: Window | None = None) -> np.ndarray:
    window = window or Window(0, 0, info.height, info.width)
    return np.broadcast_to(pixel_areas_m2(info, window), (window.height, window.width))


def geodesic_m2(info: RasterInfo, row: int, col: int) -> float:
    """Return the area of a pixel as a polygon of 160 corners on the ellipsoid of WGS 84."""
    s, ones = SIDE_STEPS, np.ones_like(SIDE_STEPS)
    cols = col + np.concatenate([s, ones, 1 - s, 0 * s])
    rows = row + np.concatenate([0 * s, s, ones, 1 - s])
    x, y = info.affine @ (cols, rows)
    lon, lat = Transformer.from_crs(info.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])


def off(info: RasterInfo, row: int, col: int, window: Window | None = None) -> float:
    start = window or Window(0, 0, 0, 0)
    return float(areas(info, window)[row - start.row, col - start.col] / geodesic_m2(info, row, col) - 1)


def test_a_half_degree_globe_adds_up_to_the_earth():
    globe = grid("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90), 360, 720)

    assert areas(globe).sum() == pytest.approx(WGS84_M2, rel=1e-9)
    assert max(abs(off(globe, row, 7)) for row in (0, 1, 60, 179, 180, 358, 359)) < 1e-3


def test_a_globe_from_0_to_360_degrees_with_cells_centred_on_the_poles_adds_up_too():
    # The first and last row reach half a cell over the poles.
    globe = grid("EPSG:4326", Affine(2.5, 0, -1.25, 0, -2.5, 91.25), 73, 144)

    assert areas(globe).sum() == pytest.approx(WGS84_M2, rel=1e-9)


@pytest.mark.parametrize("rows", [(0, 256), (700, 900), (1100, 1200)])
def test_degrees_of_a_kilometre_from_50_to_60_north_are_right_in_every_strip(rows):
    # 1200 rows of 1/120 degree: at 60 degrees north a pixel is half as wide as it is high.
    tall = grid("EPSG:4326", Affine(1 / 120, 0, 10, 0, -1 / 120, 60), 1200, 12)
    window = Window(rows[0], 0, rows[1] - rows[0], 12)

    assert max(abs(off(tall, row, 5, window)) for row in (rows[0], sum(rows) // 2, rows[1] - 1)) < 1e-5


@pytest.mark.parametrize("pixel_m", [10, 1_000, 40_000])
def test_web_mercator_is_right_at_every_latitude(pixel_m):
    half = math.pi * 6378137
    world = grid("EPSG:3857", Affine(pixel_m, 0, -half, 0, -pixel_m, half), int(2 * half / pixel_m), 80)

    for share in (0.0, 0.15, 0.3, 0.5, 0.9):
        row = int(share * (world.height - 1))
        window = Window(max(0, row - 100), 0, min(201, world.height), 80)
        assert abs(off(world, row, 33, window)) < 1e-3, share


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:4326", Affine.translation(25, 65)),
        ("EPSG:3857", Affine.translation(2_800_000, 9_000_000) @ Affine.scale(111_000)),
        ("EPSG:32635", Affine.translation(500_000, 7_200_000) @ Affine.scale(111_000)),
    ],
)
def test_turned_and_sheared_grids_are_right(crs, place):
    info = grid(crs, place @ Affine.rotation(30) @ Affine.shear(35, 0) @ Affine.scale(0.01, -0.02), 60, 90)

    assert max(abs(off(info, row, col)) for row, col in ((0, 0), (59, 89), (30, 4), (17, 81))) < 1e-3


def test_a_sheared_grid_in_metres_has_the_area_of_its_parallelogram():
    # Sides (2, 0) and (1, -1): 2 square metres, where the product of the sides' lengths is 2.83.
    sheared = grid("EPSG:32617", Affine(2, 1, 500_000, 0, -1, 4_000_000), 4, 4)

    assert areas(sheared).tolist() == [[2.0] * 4] * 4


def test_a_metre_in_utm_is_a_metre_and_a_foot_a_foot():
    assert areas(grid("EPSG:32617", Affine(1, 0, 500_000, 0, -1, 4_000_000), 2, 2)).tolist() == [[1, 1]] * 2
    feet = grid("EPSG:2264", Affine(2, 0, 2_000_000, 0, -2, 700_000), 1, 1)
    assert areas(feet)[0, 0] == pytest.approx((2 * 1200 / 3937) ** 2, rel=1e-12)


def test_equal_area_projections_count_in_their_own_units_even_where_they_distort_lengths():
    sinusoidal = grid("ESRI:54008", Affine(500, 0, -9_000_000, 0, -500, 7_000_000), 900, 900)

    assert np.unique(areas(sinusoidal)).tolist() == [250_000]


def test_a_conformal_projection_far_from_its_parallels_is_measured():
    # The United States in one Lambert conformal conic raster: its scale runs from 0.99 to 1.04.
    conic = grid("ESRI:102004", Affine(5000, 0, -2_400_000, 0, -5000, 1_600_000), 640, 900)

    assert max(abs(off(conic, row, col)) for row, col in ((0, 0), (320, 450), (639, 899), (5, 800))) < 1e-3


def test_pixels_around_the_pole_are_right():
    pole = grid("EPSG:3413", Affine(25_000, 0, -250_000, 0, -25_000, 250_000), 20, 20)

    assert max(abs(off(pole, row, col)) for row, col in ((9, 8), (8, 9), (0, 0), (11, 13))) < 1e-3
    assert areas(pole)[9:11, 9:11] == pytest.approx(areas(pole)[8, 8], rel=1e-3)


def test_grads_are_not_degrees():
    in_grads = grid("EPSG:4807", Affine(0.1, 0, 0, 0, -0.1, 50), 1, 1)
    in_degrees = grid("EPSG:4275", Affine(0.09, 0, 0, 0, -0.09, 45), 1, 1)

    assert areas(in_grads)[0, 0] == pytest.approx(areas(in_degrees)[0, 0], rel=1e-9)


def test_a_pixel_off_the_earth_covers_nothing():
    disk = grid(
        "+proj=ortho +lat_0=0 +lon_0=0", Affine(500_000, 0, -7_000_000, 0, -500_000, 7_000_000), 28, 28
    )

    assert areas(disk)[0, 0] == 0
    assert abs(off(disk, 14, 14)) < 1e-3


def test_a_site_in_metres_counts_in_metres_and_a_picture_has_no_area():
    site = grid('LOCAL_CS["site",UNIT["metre",1]]', Affine(0.5, 0, 0, 0, -0.5, 0), 2, 2)

    assert areas(site).tolist() == [[0.25, 0.25]] * 2
    picture = RasterInfo(Path("a.png"), 2, 2, 1, "uint8", None, (1.0, 0, 0, 0, 1.0, 0), None, None)
    assert pixel_areas_m2(picture, Window(0, 0, 2, 2)) is None


def test_strips_of_any_height_give_the_same_areas():
    turned = grid(
        "EPSG:4326", Affine.translation(25, 65) @ Affine.rotation(20) @ Affine.scale(1e-4, -1e-4), 200, 150
    )
    whole = areas(turned)

    parts = [areas(turned, Window(row, 0, 50, 150)) for row in (0, 50, 100, 150)]

    assert np.concatenate(parts) == pytest.approx(whole, rel=1e-9)
