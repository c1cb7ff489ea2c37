"""Whether two rasters hold values on one scale: refused are other units, never other land."""

import numpy as np
import pytest

from geoseg.domain.pixels.value_ranges import (
    assume_values,
    is_other_scale,
    measure_values,
    share_outside,
    values_by_band,
)

RNG = np.random.default_rng(0)
LAND = np.clip(RNG.normal([[90], [80], [60]], 30, (3, 6400)), 5, 250).reshape(3, 80, 80)


def measured(values, dtype):
    values = np.asarray(values, dtype)
    return measure_values([(values.astype(np.float32), np.ones(values.shape[1:], bool))], dtype)


TRAINED = {
    "uint8": measured(LAND, "uint8"),
    "uint16": measured(LAND * 40, "uint16"),
    "reflectance": measured(LAND / 255, "float32"),
    "bytes in uint16": measured(LAND, "uint16"),
    "bytes in float32": measured(np.round(LAND), "float32"),
}
OTHER_SCALE = [
    ("uint8", LAND * 40, "uint16"),
    ("uint8", LAND * 8, "uint16"),
    ("uint8", LAND * 4, "uint16"),
    ("uint8", LAND / 255, "float32"),
    ("uint8", LAND * 40, "float32"),
    ("uint8", -20 + LAND / 20, "float32"),
    ("uint8", LAND / 127 - 1, "float32"),
    ("uint16", LAND, "uint8"),
    ("uint16", LAND, "uint16"),
    ("uint16", LAND / 255, "float32"),
    ("reflectance", LAND, "uint8"),
    ("reflectance", LAND * 40, "uint16"),
    ("bytes in uint16", LAND * 16, "uint16"),
    ("bytes in float32", LAND / 255, "float32"),
]
SAME_SCALE = [
    ("uint8", LAND, "uint16"),
    ("uint8", LAND, "float32"),
    ("uint8", np.round(LAND), "float64"),
    ("uint8", LAND, "int16"),
    ("uint8", LAND / 30, "uint8"),  # night
    ("uint8", np.full_like(LAND, 255), "uint8"),  # snow
    ("uint8", np.zeros_like(LAND), "uint8"),
    ("uint8", np.zeros_like(LAND), "uint16"),
    ("uint8", np.stack([LAND[0] / 6, LAND[1] / 4, LAND[2] / 3]), "uint8"),  # water
    ("uint8", LAND * 1.05, "float32"),  # overshoot of a cubic resampling
    ("uint16", LAND * 10, "uint16"),  # dark
    ("uint16", LAND * 200, "uint16"),  # clouds
    ("uint16", np.stack([LAND[0] * 40, LAND[1] * 40, LAND[2] * 0]), "uint16"),  # one constant band
    ("uint16", np.zeros_like(LAND), "uint16"),
    ("reflectance", LAND / 700, "float32"),
    ("bytes in float32", LAND, "uint8"),
]


@pytest.mark.parametrize(("trained", "values", "dtype"), OTHER_SCALE)
def test_another_unit_is_told_from_the_values(trained, values, dtype):
    assert is_other_scale(measured(values, dtype), TRAINED[trained])


@pytest.mark.parametrize(("trained", "values", "dtype"), SAME_SCALE)
def test_other_land_light_or_type_in_one_unit_passes(trained, values, dtype):
    assert not is_other_scale(measured(values, dtype), TRAINED[trained])


def test_a_few_dark_pixels_of_16_bits_pass_and_many_do_not():
    assert not is_other_scale(measured(LAND[:, :20, :20], "uint16"), TRAINED["uint16"])
    assert is_other_scale(measured(LAND, "uint16"), TRAINED["uint16"])


def test_without_statistics_mean_and_deviation_stand_for_them():
    assumed = assume_values((90.0, 80.0, 60.0), (30.0, 30.0, 30.0), "uint8")
    assert [(b.low, b.high) for b in assumed.bands] == [(30, 150), (20, 140), (0, 120)]
    assert is_other_scale(measured(LAND * 40, "uint16"), assumed)
    assert not is_other_scale(measured(LAND, "uint16"), assumed)


def test_statistics_are_of_the_valid_pixels_that_have_a_value():
    pixels = np.array([[[1, 2, 3, 99]], [[np.nan, 4, 6, 99]]], np.float32)
    found = measure_values([(pixels, np.array([[True, True, True, False]]))], "float32")
    first, second = found.bands
    assert (first.count, first.minimum, first.median, first.maximum, first.mean) == (3, 1, 2, 3, 2)
    assert (second.count, second.mean, second.deviation, second.is_whole) == (2, 5, 1, True)


def test_a_band_without_values_is_not_compared():
    nothing = measured(np.full((3, 80, 80), np.nan), "float32")
    assert [band.count for band in nothing.bands] == [0, 0, 0]
    assert not is_other_scale(nothing, TRAINED["uint8"])


def test_the_share_outside_counts_what_the_training_saw_in_one_pixel_of_fifty():
    trained = measured(np.arange(101.0).reshape(1, 1, 101), "float32").bands[0]
    assert (trained.low, trained.high) == (2, 98)
    values = values_by_band([(np.array([[[1, 2, 98, 99]]], np.float32), np.ones((1, 4), bool))])
    assert share_outside(values[0], trained) == 0.5
