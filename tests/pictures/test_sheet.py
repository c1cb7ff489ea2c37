import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from geoseg.pictures.sheet import open_sheet, place


def test_a_box_in_pixels_from_the_top_left_is_placed_from_the_bottom_left():
    assert place(open_sheet(200, 100), 20, 10, width=100, height=50) == pytest.approx((0.1, 0.4, 0.5, 0.5))


def test_pictures_are_drawn_in_threads_alike():
    def draw(_):
        sheet = open_sheet(200, 100)
        sheet.text(0.1, 0.5, "same")
        out = io.BytesIO()
        sheet.savefig(out)
        return out.getvalue()

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(draw, range(6)))) == 1


def test_no_window_system_is_asked_for():
    assert "geoseg.pictures.sheet" in sys.modules
    assert open_sheet(10, 10).canvas.manager is None
