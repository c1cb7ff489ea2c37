import warnings
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from geoseg.domain.legend import legend_from_names
from geoseg.domain.points import make_points
from geoseg.errors import LegendError
from geoseg.pictures.comparison import comparison_figure
from geoseg.pictures.panel import Panel
from geoseg.workflows.figure_files import write_picture

LEGEND = legend_from_names(["field", "wood", "lake"])
LONG = legend_from_names(
    [f"{n}. Road and rail networks, $ports$ and associated land of every kind" for n in range(16)]
)


def _map(shape=(40, 60), title="Truth", subtitle="", classes=3):
    class_ids = (np.indices(shape).sum(axis=0) // 8 % classes).astype(np.uint8)
    return Panel(title, subtitle, class_ids, None, None)


def _photograph(shape=(40, 60), points=None):
    return Panel("Image", "", None, np.full((*shape, 3), 90, np.uint8), points)


def _words(figure):
    return " ".join(text.get_text() for text in figure.legends[0].get_texts()).replace("\n", " ")


def _swatches(figure):
    return [to_hex(patch.get_facecolor()) for patch in figure.legends[0].get_patches()]


def _scale_bars(axes):
    return [bar.txt_label.get_text() for bar in axes.artists if isinstance(bar, AnchoredSizeBar)]


def _drawn(figure):
    """Return the picture, uint8 (H, W, 3)."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("legend", [LEGEND, LONG], ids=["short", "long"])
def test_the_key_has_every_class_by_name_and_colour(legend):
    figure = comparison_figure([[_photograph(), _map()]], legend)
    assert _swatches(figure) == [c.color for c in legend.classes]
    for name in legend.names:
        assert name in _words(figure)


def test_class_maps_are_drawn_in_the_colours_of_the_legend():
    figure = comparison_figure([[_map()]], LEGEND)
    drawn = {tuple(color) for color in _drawn(figure).reshape(-1, 3)}
    assert {tuple(color) for color in LEGEND.rgb} <= drawn


def test_no_data_has_an_entry_and_a_hatch_only_where_there_is_some():
    panel = _map()
    assert "no data" not in _words(comparison_figure([[panel]], LEGEND))
    panel.class_ids[:20] = 255
    figure = comparison_figure([[panel]], LEGEND)
    assert "no data" in _words(figure)
    assert _swatches(figure) == [*(c.color for c in LEGEND.classes), "#ffffff"]
    box = figure.axes[0].get_window_extent()
    top = _drawn(figure)[::-1][
        int(box.y0 + box.height * 0.6) : int(box.y1) - 2, int(box.x0) + 3 : int(box.x1) - 3
    ]
    assert (top[..., 0] == top[..., 1]).all(), "white and grey only"
    assert (top == 255).all(axis=-1).mean() > 0.5
    assert top.min() < 230


@pytest.mark.parametrize("shape", [(40, 60), (60, 20), (10, 200), (1, 1), (300, 4)])
def test_panels_keep_their_proportions(shape):
    figure = comparison_figure([[_photograph(shape), _map(shape)]], LEGEND, resolution_m=2.0)
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(shape[0] / shape[1], rel=0.01)


@pytest.mark.parametrize(("legend", "columns"), [(LONG, 1), (LONG, 5), (LEGEND, 2)])
@pytest.mark.parametrize("shape", [(40, 60), (90, 20), (10, 120)])
def test_nothing_overlaps_or_leaves_the_sheet(legend, columns, shape):
    panels = [_map(shape, "Prediction, 10 points per class and tile", "mIoU 74.2 %") for _ in range(columns)]
    figure = comparison_figure([panels, panels], legend, title="One place after another " * 3, resolution_m=1)
    titles = [text for axes in figure.axes for text in (axes._left_title, *axes.texts)]
    key = figure.legends[0]
    artists = (figure._suptitle, *titles, *figure.axes, *key.get_texts(), *key.get_patches())
    boxes = [
        artist.get_window_extent()
        for artist in artists
        if not hasattr(artist, "get_text") or artist.get_text()
    ]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))


def test_five_panels_make_a_sheet_of_two_thousand_pixels():
    width, _ = comparison_figure([[_map() for _ in range(5)]], LEGEND).get_size_inches() * 100
    assert width == 2000


def test_the_first_panel_of_a_row_has_a_scale_bar_in_metres_where_the_resolution_is_known():
    rows = [[_photograph((40, 100)), _map((40, 100))], [_map((40, 100))]]
    figure = comparison_figure(rows, LEGEND, resolution_m=20.0)
    # 100 columns of 20 m are 2,000 m; a quarter is 500 m.
    assert [_scale_bars(axes) for axes in figure.axes] == [["500 m"], [], ["500 m"]]
    without = comparison_figure(rows, LEGEND)
    assert not any(_scale_bars(axes) for axes in without.axes)


def test_points_lie_at_their_pixels_in_their_class_colour_with_a_white_edge_in_a_dark_one():
    # The centre of the last of 4 x 4 pixels: 7/8 from the left and from the top.
    figure = comparison_figure([[_photograph((4, 4), make_points("a", [3.0], [3.0], [2]))]], LEGEND)
    box = figure.axes[0].get_window_extent()
    x, y = round(box.x0 + box.width * 7 / 8), round(box.y0 + box.height / 8)
    line = _drawn(figure)[::-1][y, x : x + 16].tolist()
    assert line[0] == LEGEND.rgb[2].tolist()
    white = line.index([255, 255, 255])
    assert min(sum(color) for color in line[white:]) < 3 * 60, "a dark edge around the white one"
    assert line[-1] == [90, 90, 90]


def test_no_points_are_no_fault():
    comparison_figure([[_photograph(points=make_points("a", [], [], []))]], LEGEND)


def test_large_arrays_are_thinned_to_the_nearest_and_points_stay_in_place():
    panel = Panel("", "", None, np.zeros((500, 3000, 3), np.uint8), make_points("a", [499.0], [2999.0], [0]))
    panel.rgb[:, 1500:] = 200
    axes = comparison_figure([[panel]], LEGEND).axes[0]
    drawn = axes.images[0].get_array()
    assert drawn.shape == (500, 1000, 3)
    assert (drawn[:, :500] == 0).all()
    assert (drawn[:, 500:] == 200).all()
    assert axes.get_xlim() == (-0.5, 2999.5)
    assert axes.get_ylim() == (499.5, -0.5)


def test_arrays_are_not_modified():
    points = make_points("a", [1.0, 2.0], [3.0, 4.0], [0, 1])
    panels = [_photograph(points=points), _map()]
    before = panels[0].rgb.copy(), panels[1].class_ids.copy(), points.digest()
    for array in (panels[0].rgb, panels[1].class_ids, points.row, points.col, points.class_id):
        array.flags.writeable = False
    _drawn(comparison_figure([panels], LEGEND, resolution_m=1.0))
    assert (panels[0].rgb == before[0]).all()
    assert (panels[1].class_ids == before[1]).all()
    assert points.digest() == before[2]


def test_a_class_that_the_legend_lacks_is_refused_by_number_and_panel():
    with pytest.raises(LegendError, match=r"panel 'Truth'.*got 3"):
        comparison_figure([[_map(classes=4)]], LEGEND)
    with pytest.raises(LegendError, match=r"panel 'Image'.*got 9"):
        comparison_figure([[_photograph(points=make_points("a", [0.0], [0.0], [9]))]], LEGEND)


def test_a_panel_shows_a_photograph_or_a_class_map():
    with pytest.raises(ValueError, match="either"):
        Panel("both", "", np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), None)
    with pytest.raises(ValueError, match="either"):
        Panel("none", "", None, None, None)
    with pytest.raises(ValueError, match="no pixels"):
        Panel("empty", "", np.zeros((0, 4), np.uint8), None, None)


@pytest.mark.parametrize("panels", [[], [[]], [[_map()], []]])
def test_a_row_without_panels_is_refused(panels):
    with pytest.raises(ValueError, match="panel"):
        comparison_figure(panels, LEGEND)


def test_a_whole_figure_is_saved_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_picture(
            comparison_figure([[_photograph(), _map()]], LEGEND, title="$ 5 & $x$"),
            tmp_path / "a.png",
            overwrite=False,
        )
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
