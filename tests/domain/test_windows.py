from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.windows import Window, grid, spaced_windows, strips

sizes = st.integers(1, 40)


def test_padding_grows_a_window_on_every_side():
    assert Window(10, 20, 4, 6).padded(3) == Window(7, 17, 10, 12)


@pytest.mark.parametrize(
    ("window", "inside"),
    [
        (Window(2, 3, 4, 5), Window(2, 3, 4, 5)),
        (Window(-2, -3, 5, 5), Window(0, 0, 3, 2)),
        (Window(8, 18, 5, 5), Window(8, 18, 2, 2)),
        (Window(-5, 0, 5, 5), Window(0, 0, 0, 5)),
        (Window(30, 30, 5, 5), Window(10, 20, 0, 0)),
    ],
)
def test_clipping_leaves_the_part_inside(window, inside):
    assert window.clipped(10, 20) == inside


def test_grid_goes_row_by_row_and_cuts_the_cells_at_the_border():
    assert list(grid(3, 5, 2)) == [
        Window(0, 0, 2, 2),
        Window(0, 2, 2, 2),
        Window(0, 4, 2, 1),
        Window(2, 0, 1, 2),
        Window(2, 2, 1, 2),
        Window(2, 4, 1, 1),
    ]


def test_strips_are_as_wide_as_the_raster():
    assert list(strips(5, 7, 2)) == [Window(0, 0, 2, 7), Window(2, 0, 2, 7), Window(4, 0, 1, 7)]


@settings(deadline=None)
@given(sizes, sizes, sizes)
def test_every_pixel_is_in_one_cell_and_in_one_strip(height, width, size):
    for windows in (grid(height, width, size), strips(height, width, size)):
        covered = np.zeros((height, width), int)
        for w in windows:
            covered[w.row : w.row + w.height, w.col : w.col + w.width] += 1
        assert (covered == 1).all()


def test_spread_windows_reach_from_border_to_border_and_start_at_steps():
    assert list(spaced_windows(300, 130, 64, most=3, step=32)) == [
        Window(row, col, 64, 64) for row in (0, 96, 224) for col in (0, 64)
    ]
    assert list(spaced_windows(100, 20, 64, most=3, step=32)) == [Window(0, 0, 64, 32)]


@given(sizes, sizes, st.sampled_from([8, 16]), st.integers(1, 5))
def test_spread_windows_are_few_and_touch_the_raster(height, width, size, most):
    windows = list(spaced_windows(height, width, size, most=most, step=4))
    assert 1 <= len(windows) <= most**2
    assert len(set(windows)) == len(windows)
    assert all(w.row % 4 == w.col % 4 == 0 and w.row < height and w.col < width for w in windows)
    assert all(w.height <= size and w.width <= size for w in windows)
