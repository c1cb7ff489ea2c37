import numpy as np

from geoseg.pictures.stretch import display_rgb


def _ramp(low, high, bands=3):
    values = np.linspace(low, high, 101, dtype=np.float32)
    return np.repeat(values[np.newaxis, np.newaxis, :], bands, axis=0)


def test_the_2nd_and_98th_percentile_become_black_and_white():
    rgb = display_rgb(_ramp(0.0, 1.0), np.ones((1, 101), bool))
    assert rgb.shape == (1, 101, 3)
    assert rgb.dtype == np.uint8
    assert rgb[0, 2, 0] == 0
    assert rgb[0, 50, 0] in {127, 128}
    assert rgb[0, 98, 0] == 255


def test_bands_of_different_ranges_are_stretched_each_for_itself():
    pixels = _ramp(0.0, 1.0) * np.array([1, 1000, 0.01], np.float32)[:, None, None]
    rgb = display_rgb(pixels, np.ones((1, 101), bool))
    assert np.abs(rgb[..., 0].astype(int) - rgb[..., 1]).max() <= 1
    assert np.abs(rgb[..., 0].astype(int) - rgb[..., 2]).max() <= 1


def test_a_photograph_keeps_its_colours_by_one_stretch_for_all_bands():
    pixels = np.zeros((3, 1, 256), np.float32)
    pixels[0] = np.arange(256)
    pixels[1] = 100
    rgb = display_rgb(pixels, np.ones((1, 256), bool))
    assert set(np.unique(rgb[..., 2])) == {0}, "black stays black"
    assert rgb[0, 100, 0] == rgb[0, 0, 1], "the same value is shown the same in every band"


def test_invalid_pixels_are_white_and_do_not_move_the_stretch():
    pixels = _ramp(0.0, 1.0)
    valid = np.ones((1, 101), bool)
    before = display_rgb(pixels, valid)
    pixels, valid = (
        np.append(pixels, np.full((3, 1, 1), -9999, np.float32), axis=2),
        np.append(valid, [[False]], axis=1),
    )
    after = display_rgb(pixels, valid)
    assert (after[:, :-1] == before).all()
    assert (after[:, -1] == 255).all()


def test_values_that_are_not_finite_are_white():
    pixels = _ramp(0.0, 1.0)
    pixels[1, 0, 7] = np.nan
    rgb = display_rgb(pixels, np.ones((1, 101), bool))
    assert (rgb[0, 7] == 255).all()
    assert rgb[0, 50, 0] in {127, 128}


def test_fewer_than_three_bands_are_shown_in_grey_by_the_first():
    rgb = display_rgb(_ramp(0.0, 1.0, bands=2), np.ones((1, 101), bool))
    assert (rgb[..., 0] == rgb[..., 2]).all()
    assert rgb[0, 50, 1] in {127, 128}


def test_bands_after_the_third_are_not_looked_at():
    pixels = _ramp(0.0, 1.0, bands=4)
    pixels[3] = np.nan
    assert (
        display_rgb(pixels, np.ones((1, 101), bool)) == display_rgb(pixels[:3], np.ones((1, 101), bool))
    ).all()


def test_one_value_alone_is_mid_grey_and_no_pixel_is_white():
    ones = np.full((1, 1, 1), 0.3, np.float32)
    assert display_rgb(ones, np.ones((1, 1), bool)).tolist() == [[[128, 128, 128]]]
    assert display_rgb(ones, np.zeros((1, 1), bool)).tolist() == [[[255, 255, 255]]]


def test_the_pixels_are_not_modified():
    pixels, valid = _ramp(0.0, 9.0), np.ones((1, 101), bool)
    before = pixels.copy()
    display_rgb(pixels, valid)
    assert (pixels == before).all()
