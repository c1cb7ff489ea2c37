from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.windows import Window
from geoseg.geodata.reading.resampling import Resampled


class Picture:
    """A fake PixelSource of one band from an array; NaN is not valid."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values
        self.height, self.width = values.shape

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        pad = 64
        padded = np.pad(self._values, pad, constant_values=np.nan)
        top, left = window.row + pad, window.col + pad
        part = padded[top : top + window.height, left : left + window.width]
        return np.nan_to_num(part)[None], np.isfinite(part)


def read_all(source: Resampled) -> tuple[list[list[float]], list[list[bool]]]:
    pixels, valid = source.read(Window(0, 0, source.height, source.width))
    return pixels[0].tolist(), valid.tolist()


def test_shrinking_takes_the_mean_of_the_valid_pixels() -> None:
    values = np.array([[np.nan, 1, 2, 3], [4, 7, 6, 9], [1, 1, np.nan, np.nan], [1, 5, np.nan, np.nan]], "f4")
    small = Resampled(Picture(values), height=2, width=2, row_factor=2, col_factor=2)
    assert read_all(small) == ([[4, 5], [2, 0]], [[True, True], [True, False]])


def test_shrinking_by_a_fraction_weighs_by_area() -> None:
    small = Resampled(Picture(np.array([[0, 3, 9]], "f4")), height=1, width=2, row_factor=1, col_factor=1.5)
    # (0 * 1 + 3 * 0.5) / 1.5 and (3 * 0.5 + 9 * 1) / 1.5
    assert read_all(small) == ([[1, 7]], [[True, True]])


def test_the_last_pixel_may_reach_over_the_edge() -> None:
    small = Resampled(Picture(np.array([[2, 4, 6]], "f4")), height=1, width=2, row_factor=1, col_factor=2)
    assert read_all(small) == ([[3, 6]], [[True, True]])


def test_enlarging_interpolates_between_pixel_centres() -> None:
    large = Resampled(Picture(np.array([[0, 4]], "f4")), height=1, width=4, row_factor=1, col_factor=0.5)
    assert read_all(large) == ([[0, 1, 3, 4]], [[True] * 4])


def test_enlarging_does_not_let_the_mask_grow_or_shrink() -> None:
    large = Resampled(Picture(np.array([[8, np.nan]], "f4")), height=1, width=4, row_factor=1, col_factor=0.5)
    assert read_all(large) == ([[8, 8, 0, 0]], [[True, True, False, False]])


def test_pixels_do_not_depend_on_the_window() -> None:
    values = np.random.default_rng(0).normal(size=(40, 37)).astype("f4")
    values[5:9, 3:20] = np.nan
    for factor in (0.4, 1.7, 3.0):
        size = int(36 / factor)
        source = Resampled(Picture(values), height=size, width=size, row_factor=factor, col_factor=factor)
        whole, valid = source.read(Window(0, 0, size, size))
        part, part_valid = source.read(Window(3, 2, 4, 5))
        assert np.array_equal(part, whole[:, 3:7, 2:7])
        assert np.array_equal(part_valid, valid[3:7, 2:7])


def test_outside_the_grid_nothing_is_valid() -> None:
    source = Resampled(Picture(np.ones((4, 4), "f4")), height=2, width=2, row_factor=2, col_factor=2)
    pixels, valid = source.read(Window(-1, -1, 4, 4))
    assert valid.tolist() == [
        [False] * 4,
        [False, True, True, False],
        [False, True, True, False],
        [False] * 4,
    ]
    assert pixels[0].sum() == 4


def test_an_empty_window_gives_no_pixels() -> None:
    source = Resampled(Picture(np.ones((4, 4), "f4")), height=2, width=2, row_factor=2, col_factor=2)
    assert source.read(Window(1, 0, 0, 2))[0].shape == (1, 0, 2)
    assert source.read(Window(1, 0, 2, 0))[0].shape == (1, 2, 0)


def test_a_large_window_is_read_in_parts_with_the_same_result() -> None:
    # 2,100 x 2,100 source pixels are more than are read at once.
    values = np.arange(2100 * 2100, dtype=np.float32).reshape(2100, 2100) % 251
    source = Resampled(Picture(values), height=700, width=700, row_factor=3, col_factor=3)
    pixels, _ = source.read(Window(0, 0, 700, 700))
    expected = values.reshape(700, 3, 700, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels[0], expected, rtol=1e-5)
