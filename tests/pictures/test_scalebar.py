import pytest

from geoseg.pictures.scalebar import draw_scale_bar, length_label, round_length_m
from geoseg.pictures.sheet import open_sheet


@pytest.mark.parametrize(
    ("width_m", "length_m"),
    [
        (154, 50),
        (400, 100),
        (614, 200),
        (1229, 200),
        (1800, 500),
        (12_000, 2000),
        (4, 1),
        (0.4, 0.1),
        (300_000, 100_000),
    ],
)
def test_the_length_is_round_and_nearest_to_a_quarter_of_the_width(width_m, length_m):
    assert round_length_m(width_m) == pytest.approx(length_m)


@pytest.mark.parametrize("power", range(-2, 6))
def test_the_bar_fits_into_the_panel_whatever_its_width(power):
    for width_m in (10.0**power * factor for factor in (1, 1.5, 2.7, 3.4, 6.3, 8.8)):
        assert 0.15 <= round_length_m(width_m) / width_m <= 0.4


@pytest.mark.parametrize(
    ("length_m", "label"), [(0.5, "0.5 m"), (200, "200 m"), (1000, "1 km"), (50_000, "50 km")]
)
def test_lengths_are_written_in_metres_and_kilometres(length_m, label):
    assert length_label(length_m) == label


def test_the_bar_is_drawn_to_scale_inside_the_panel():
    sheet = open_sheet(400, 300)
    sheet.set_layout_engine("none")
    axes = sheet.add_axes((0, 0, 1, 1), xlim=(-0.5, 99.5), ylim=(74.5, -0.5))
    draw_scale_bar(axes, resolution_m=8.0)
    [bar] = axes.artists
    assert bar.txt_label.get_text() == "200 m"
    sheet.draw_without_rendering()
    assert bar.size_bar.get_window_extent().width == pytest.approx(100)
    label, ground = bar.txt_label.get_window_extent(), bar.get_window_extent()
    assert ground.x0 == ground.y0 == 0
    assert ground.x1 > max(100, label.x1)
    assert ground.y1 > label.y1
