"""Draw the comparison figure: panels of the same scene next to each other, with a common key below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geoseg.domain.legend import Legend
from geoseg.pictures.key import draw_key
from geoseg.pictures.panel import Panel, draw_ground, draw_points
from geoseg.pictures.scalebar import draw_scale_bar
from geoseg.pictures.sheet import cell_px, lay_out, open_sheet, wrap, write_heading

# A README shows a picture about 900 px wide: on a sheet of 2000 px letters of 18 points come out as 8.
_SHEET_PX = 2000
_WIDEST_PX = 800
_NARROWEST_PX = 240  # leaves room for titles above panels that are much higher than wide
_TALLEST = 1.6  # height of a panel in widths of its column
_ROOM_PX = 4000  # for texts, while they are laid out
_HEADING, _TITLE = 24, 18  # points


def comparison_figure(
    panels: Sequence[Sequence[Panel]], legend: Legend, *, title: str = "", resolution_m: float | None = None
) -> Figure:
    """Draw rows of panels with a common key of all classes below.

    Args:
        panels: Rows of panels; a row shows one place. Panels keep their proportions; arrays with more
            than 1000 pixels a side are thinned to the nearest.
        legend: The classes of the class maps and points.
        title: Line above all, or "".
        resolution_m: Ground sampling distance in metres; puts a scale bar on the first panel of each row.

    Raises:
        LegendError: A class map or a point has a class that the legend lacks.
        ValueError: There is no panel, or a row without one.
    """
    if not panels or not all(panels):
        raise ValueError("every row of a comparison needs a panel")
    columns = max(map(len, panels))
    column_px, ratios = _sizes(panels, columns)
    figure = open_sheet(column_px * columns, column_px * sum(ratios) + _ROOM_PX)
    grid = figure.add_gridspec(len(panels), columns, height_ratios=ratios)
    drawn = [
        [(figure.add_subplot(grid[row, col]), panel) for col, panel in enumerate(line)]
        for row, line in enumerate(panels)
    ]
    for axes, panel in chain(*drawn):
        draw_ground(axes, panel, legend)
        _write_titles(axes, panel, column_px)
    write_heading(figure, title, points=_HEADING)
    draw_key(figure, legend, has_no_data=any(panel.has_no_data for panel in chain(*panels)))
    lay_out(figure)
    cells = [cell_px(figure, line[0][0]) for line in drawn]
    higher_px = sum(ratios) * cells[0][0] - sum(height for _, height in cells)
    lay_out(figure, higher_px=higher_px)
    for axes, panel in chain(*drawn):
        draw_points(axes, panel, legend)
    if resolution_m is not None:
        for line in drawn:
            draw_scale_bar(line[0][0], resolution_m)
    return figure


def _sizes(panels: Sequence[Sequence[Panel]], columns: int) -> tuple[float, list[float]]:
    """Return the column width in pixels, and the height of each row in column widths."""
    widest = min(_WIDEST_PX, _SHEET_PX / columns)
    highest = widest * _TALLEST
    used = max(min(widest, highest * panel.shape[1] / panel.shape[0]) for panel in chain(*panels))
    column_px = max(used, min(widest, _NARROWEST_PX))
    tallest = [max(panel.shape[0] / panel.shape[1] for panel in line) for line in panels]
    return column_px, [min(ratio, highest / column_px) for ratio in tallest]


def _write_titles(axes: Axes, panel: Panel, column_px: float) -> None:
    subtitle = axes.annotate(
        wrap(panel.subtitle, column_px, _TITLE), (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
        va="bottom", size=_TITLE, color="#404040",
    )  # fmt: skip
    lines = len(subtitle.get_text().splitlines())
    pad = 6 + 1.4 * _TITLE * lines
    axes.set_title(wrap(panel.title, column_px, _TITLE), loc="left", pad=pad, size=_TITLE, weight="bold")
