"""A frame or a large area of one extreme value is found; real dark and bright pixels are not taken for one."""

import numpy as np
import pytest

from geoseg.domain.pixels.undeclared_nodata import find_alpha, find_fill

RNG = np.random.default_rng(0)


def scene(bands=3, low=20, high=230, side=64):
    return RNG.integers(low, high, (bands, side, side)).astype(np.float32)


def sample(pixels, valid=None):
    return [(pixels, np.ones(pixels.shape[1:], bool) if valid is None else valid)]


@pytest.mark.parametrize("value", [0, 255, -9999, -32768, 65535, -3.4e38])
def test_a_frame_of_one_extreme_value_is_found_with_its_share(value):
    pixels = scene()
    pixels[:, :8] = pixels[:, :, -8:] = value  # 15/64 - 1/64 of the area in two bars of an eighth
    found = find_fill(sample(pixels))
    assert found is not None
    assert (np.float32(found.value), found.share) == (np.float32(value), 15 / 64)


def test_a_few_pixels_far_from_all_others_are_found():
    pixels = scene() / 255
    pixels[:, 10:14, 10:14] = -9999
    found = find_fill(sample(pixels))
    assert found is not None
    assert (found.value, found.share) == (-9999, 16 / 4096)


def test_scattered_black_and_saturated_pixels_are_no_nodata():
    pixels = scene(low=0, high=256)
    pixels[:, RNG.random((64, 64)) < 0.1] = 0
    assert find_fill(sample(pixels)) is None


def test_a_shadow_in_a_scene_that_declares_its_nodata_is_none():
    pixels, valid = scene(), np.ones((64, 64), bool)
    pixels[:, :12, :12] = 0  # 3.5 %
    assert find_fill(sample(pixels)) is not None
    valid[-1] = False
    assert find_fill(sample(pixels, valid)) is None


def test_black_in_one_band_is_none():
    pixels = scene()
    pixels[2, :20] = 0
    assert find_fill(sample(pixels)) is None


@pytest.mark.parametrize("value", [0, 255, 17])
def test_an_image_of_one_colour_has_no_nodata(value):
    assert find_fill(sample(np.full((3, 64, 64), value, np.float32))) is None


def test_a_value_in_the_middle_of_the_others_is_none():
    pixels = scene()
    pixels[:, :30] = 120
    assert find_fill(sample(pixels)) is None


def test_nothing_valid_has_nothing_to_find():
    nothing = sample(scene(), np.zeros((64, 64), bool))
    assert (find_fill(nothing), find_alpha(sample(scene()))) == (None, None)


@pytest.mark.parametrize(("bands", "opaque"), [(4, 255), (2, 255), (4, 65535)])
def test_a_last_band_of_two_values_looks_like_alpha(bands, opaque):
    pixels = scene(bands)
    pixels[-1] = opaque
    assert find_alpha(sample(pixels)) is None
    pixels[-1, :16] = 0
    assert find_alpha(sample(pixels)) == 0.25
