from __future__ import annotations

import math

import numpy as np
import pytest
from pyproj import CRS
from pyproj.exceptions import ProjError

from geoseg.geodata.reading.crs import crs_name, transformer_between, wrap_x, x_period

SITE = 'LOCAL_CS["site",UNIT["metre",1]]'


@pytest.mark.parametrize(
    ("crs", "name"),
    [
        ("EPSG:32617", "WGS 84 / UTM zone 17N (EPSG:32617)"),
        (CRS(32617).to_wkt(), "WGS 84 / UTM zone 17N (EPSG:32617)"),
        (CRS(4326), "WGS 84 (EPSG:4326)"),
        ("OGC:CRS84", "WGS 84 (CRS84) (OGC:CRS84)"),
        (SITE, "site"),
        ("+proj=utm +zone=17 +ellps=GRS80", "unknown"),
        ("somewhere over there", "somewhere over there"),
        ("PROJCS[" + "x" * 500, "PROJCS[" + "x" * 50 + "..."),
        (None, "none"),
    ],
)
def test_a_crs_goes_by_name_and_code(crs, name):
    assert crs_name(crs) == name


def test_there_is_nothing_to_do_between_equal_crs_even_local_ones():
    assert transformer_between(SITE, SITE) is None
    assert transformer_between("EPSG:32617", CRS(32617).to_wkt()) is None
    assert transformer_between(SITE, CRS(SITE).to_wkt("WKT2_2019")) is None
    assert (
        transformer_between(SITE, CRS(SITE).to_wkt("WKT2_2019").replace("Unknown engineering", "site's"))
        is None
    )


@pytest.mark.parametrize("other", ["EPSG:32617", 'LOCAL_CS["other site",UNIT["metre",1]]', "somewhere"])
def test_there_is_no_way_between_a_local_crs_and_another(other):
    with pytest.raises(ProjError):
        transformer_between(SITE, other)


def test_x_comes_before_y_on_the_way():
    x, y = transformer_between("EPSG:4326", "EPSG:32617").transform(-81, 0)

    assert (x, y) == pytest.approx((500_000, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("crs", "turn"),
    [
        ("EPSG:4326", 360),
        ("EPSG:4807", 400),
        ("EPSG:3857", 2 * math.pi * 6378137),
        ("EPSG:3832", 2 * math.pi * 6378137),
        ("EPSG:6933", 2 * 17_367_530.45),
        ("EPSG:32617", None),
        ("EPSG:3413", None),
        (SITE, None),
    ],
)
def test_cylindrical_maps_repeat_after_a_turn(crs, turn):
    assert x_period(crs) == (None if turn is None else pytest.approx(turn, rel=1e-8))


def test_x_is_moved_by_whole_turns_and_else_left_as_it_is():
    x = np.array([-170.0, 170.0, 190.0, 550.0, 169.9])

    assert wrap_x(x, 170, 360).tolist() == pytest.approx([190, 170, 190, 190, 529.9])
    assert wrap_x(x, 170, None).tolist() == x.tolist()
