import numpy as np
import pytest
import torch

from geoseg.learning.normalisation import Normalisation, measure_normalisation

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
        pixels = torch.from_numpy(values * np.float32(scale))[None]
        found = measured.apply(pixels, torch.ones(1, 2, 2, dtype=torch.bool))
        expected = torch.tensor([[-3.0, -1.0], [1.0, 3.0]]) / np.sqrt(5)
        torch.testing.assert_close(found[0, 0], expected.float())


def test_each_band_has_its_own_statistics():
    measured = measure_normalisation([(np.array([[[0, 2], [0, 2]], [[5, 5], [9, 9]]], np.float32), ALL)])
    assert measured == Normalisation((1.0, 7.0), (1.0, 2.0))


def test_a_constant_band_is_centred_and_not_divided():
    measured = measure_normalisation([(np.full((1, 2, 2), 7, np.float32), ALL)])
    assert (measured.mean, measured.deviation) == ((7.0,), (1.0,))


def test_what_is_not_valid_becomes_the_mean():
    pixels = torch.tensor([[[[10.0, 30.0]]]])
    valid = torch.tensor([[[True, False]]])
    assert Normalisation((20.0,), (5.0,)).apply(pixels, valid).tolist() == [[[[-2.0, 0.0]]]]


def test_without_a_valid_pixel_there_is_nothing_to_measure():
    with pytest.raises(ValueError, match="valid"):
        measure_normalisation([(np.zeros((1, 2, 2), np.float32), ~ALL)])
