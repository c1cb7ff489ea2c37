import numpy as np
import pytest

from geoseg.learning.normalisation import Normalisation, measure_normalisation, with_indices

ALL = np.ones((2, 2), bool)


def test_mean_and_deviation_are_those_of_the_valid_pixels_of_all_samples():
    one = np.array([[[1, 3], [5, 999]]], np.float32)
    two = np.array([[[7, 9], [999, 999]]], np.float32)
    valid = [np.array([[True, True], [True, False]]), np.array([[True, True], [False, False]])]
    measured = measure_normalisation(zip([one, two], valid, strict=True))
    assert measured.mean == (5.0,)
    assert measured.deviation == (pytest.approx(np.sqrt(8)),)


def test_a_large_offset_does_not_cancel_the_deviation():
    values = np.float32(1e6) + np.array([[[-1, 1], [1, -1]]], np.float32)
    measured = measure_normalisation([(values, ALL)])
    assert measured.deviation == (pytest.approx(1.0),)


def test_values_of_any_size_become_numbers_around_zero():
    # uint16 of 1000, 3000, 5000 and 7000: mean 4000, deviation sqrt(5e6); reflectances a 10,000th of that.
    values = np.array([[[1000, 3000], [5000, 7000]]], np.float32)
    for scale in (1.0, 1e-4):
        measured = measure_normalisation([(values * np.float32(scale), ALL)])
        pixels = (values * np.float32(scale))[None]
        found = measured.apply(pixels, np.ones((1, 2, 2), bool))
        np.testing.assert_allclose(found[0, 0], np.array([[-3, -1], [1, 3]]) / np.sqrt(5), rtol=1e-6)


def test_each_band_has_its_own_statistics():
    measured = measure_normalisation([(np.array([[[0, 2], [0, 2]], [[5, 5], [9, 9]]], np.float32), ALL)])
    assert measured == Normalisation((1.0, 7.0), (1.0, 2.0))


def test_a_constant_band_is_centred_and_not_divided():
    measured = measure_normalisation([(np.full((1, 2, 2), 7, np.float32), ALL)])
    assert (measured.mean, measured.deviation) == ((7.0,), (1.0,))


def test_what_is_not_valid_becomes_the_mean():
    pixels = np.array([[[[10, 30]]]], np.float32)
    valid = np.array([[[True, False]]])
    assert Normalisation((20.0,), (5.0,)).apply(pixels, valid).tolist() == [[[[-2.0, 0.0]]]]


def test_a_band_without_a_value_is_left_out_of_its_statistics_and_becomes_the_mean():
    pixels = np.array([[[1, np.nan]], [[5, 7]]], np.float32)
    measured = measure_normalisation([(pixels, np.ones((1, 2), bool))])
    assert measured == Normalisation((1.0, 6.0), (1.0, 1.0))
    applied = measured.apply(pixels[None], np.ones((1, 1, 2), bool))
    assert applied.tolist() == [[[[0.0, 0.0]], [[-1.0, 1.0]]]]


def test_a_band_without_any_value_is_left_alone():
    pixels = np.array([[[np.nan, np.nan]], [[5, 7]]], np.float32)
    measured = measure_normalisation([(pixels, np.ones((1, 2), bool))])
    assert measured == Normalisation((0.0, 6.0), (1.0, 1.0))


def test_without_a_valid_pixel_there_is_nothing_to_measure():
    with pytest.raises(ValueError, match="valid"):
        measure_normalisation([(np.zeros((1, 2, 2), np.float32), ~ALL)])


def test_an_index_is_the_normalised_difference_of_two_bands():
    # (3 - 1) / 4, 0 where both are 0, (1 - 3) / 4, and cut at 1 where a band is negative: (3 - -1) / 2 = 2.
    red, infrared = [[1.0, 0.0], [3.0, -1.0]], [[3.0, 0.0], [1.0, 3.0]]
    pixels = np.array([[red, infrared]], np.float32)
    channels = with_indices(pixels, [(1, 0), (0, 1)])
    np.testing.assert_array_equal(channels[:, :2], pixels)
    np.testing.assert_allclose(channels[0, 2], [[0.5, 0.0], [-0.5, 1.0]])
    np.testing.assert_allclose(channels[0, 3], -channels[0, 2])


def test_an_index_is_normalised_as_a_band_is():
    pixels = np.array([[[1, 9], [9, 1]], [[3, 3], [3, 999]]], np.float32)
    valid = np.array([[True, True], [True, False]])
    # Of 0.5, -0.5 and -0.5: mean -1/6, deviation sqrt(2)/3.
    measured = measure_normalisation([(pixels, valid)], [(1, 0)])
    assert measured.mean == pytest.approx((19 / 3, 3.0, -1 / 6))
    assert measured.deviation == pytest.approx((np.sqrt(128 / 9), 1.0, np.sqrt(2) / 3))
    assert (measured.channels, measured.indices) == (3, ((1, 0),))
    found = measured.apply(pixels[None], valid[None])
    expected = np.array([[np.sqrt(2), -1 / np.sqrt(2)], [-1 / np.sqrt(2), 0.0]])
    np.testing.assert_allclose(found[0, 2], expected, rtol=1e-6, atol=1e-7)
    assert found.dtype == np.float32
