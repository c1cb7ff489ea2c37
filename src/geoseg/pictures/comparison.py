"""Draw the comparison figure: panels of the same scene next to each other, with a common key below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from geoseg.domain.legend import Legend
from geoseg.pictures.key import Key, draw_key, set_key
from geoseg.pictures.lettering import Lettering
from geoseg.pictures.panel import Panel, draw_panel
from geoseg.pictures.scalebar import draw_scale_bar
from geoseg.pictures.sheet import open_sheet, place

# A README shows a picture about 900 px wide: on a sheet of 2000 px letters of 26 px come out as 12.
_SHEET_PX = 2000
_MARGIN_PX = 20
_GAP_PX = 16
_BENEATH_PX = 6  # between the texts of a row and its panels
_WIDEST_PX = 800
_NARROWEST_PX = 240  # leaves room for titles above panels that are much higher than wide
_TALLEST = 1.6  # height of a panel in widths of its column
_TITLE = Lettering(34, "bold")
_PANEL_TITLE = Lettering(26, "bold")
_SUBTITLE = Lettering(25, color="#404040")


@dataclass(frozen=True)
class _Row:
    """A row of panels: texts wrapped to the width, and sizes in pixels."""

    panels: Sequence[Panel]
    titles: Sequence[str]
    subtitles: Sequence[str]
    panel_px: float

    @property
    def title_px(self) -> float:
        return max(_PANEL_TITLE.height_px(title) for title in self.titles)

    @property
    def heading_px(self) -> float:
        height = self.title_px + max(_SUBTITLE.height_px(subtitle) for subtitle in self.subtitles)
        return height + _BENEATH_PX if height else 0.0

    @property
    def height_px(self) -> float:
        return self.heading_px + self.panel_px + _GAP_PX


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
    column_px, highest_px = _panel_limits(panels, columns)
    rows = [_set_row(row, column_px, highest_px) for row in panels]
    width = columns * (column_px + _GAP_PX) - _GAP_PX
    heading = _TITLE.wrap(title, width)
    key = set_key(legend, width, has_no_data=any(p.has_no_data for row in panels for p in row))
    figure = _open(width, heading=heading, rows=rows, key=key)
    top = _MARGIN_PX + _heading_px(heading)
    for row in rows:
        _draw_row(figure, row, legend, top=top, column_px=column_px, resolution_m=resolution_m)
        top += row.height_px
    draw_key(figure, key, left=_MARGIN_PX, top=top)
    return figure


def _heading_px(heading: str) -> float:
    return _TITLE.height_px(heading) + _GAP_PX if heading else 0.0


def _open(width: float, *, heading: str, rows: Sequence[_Row], key: Key) -> Figure:
    height = _heading_px(heading) + sum(row.height_px for row in rows) + key.height_px
    figure = open_sheet(width + 2 * _MARGIN_PX, height + 2 * _MARGIN_PX)
    _TITLE.write(figure, heading, left=_MARGIN_PX, top=_MARGIN_PX)
    return figure


def _panel_limits(panels: Sequence[Sequence[Panel]], columns: int) -> tuple[float, float]:
    """Return the column width and the maximum panel height, in pixels of the sheet."""
    space = (_SHEET_PX - 2 * _MARGIN_PX + _GAP_PX) / columns - _GAP_PX
    widest = min(_WIDEST_PX, space)
    highest = widest * _TALLEST
    shapes = [panel.shape for row in panels for panel in row]
    used = max(min(widest, highest * width / height) for height, width in shapes)
    return max(used, min(widest, _NARROWEST_PX)), highest


def _set_row(panels: Sequence[Panel], column_px: float, highest_px: float) -> _Row:
    tallest = max(panel.shape[0] / panel.shape[1] for panel in panels)
    return _Row(
        panels,
        [_PANEL_TITLE.wrap(panel.title, column_px) for panel in panels],
        [_SUBTITLE.wrap(panel.subtitle, column_px) for panel in panels],
        min(tallest * column_px, highest_px),
    )


def _draw_row(
    figure: Figure, row: _Row, legend: Legend, *, top: float, column_px: float, resolution_m: float | None
) -> None:
    left = float(_MARGIN_PX)
    for panel, title, subtitle in zip(row.panels, row.titles, row.subtitles, strict=True):
        _PANEL_TITLE.write(figure, title, left=left, top=top)
        _SUBTITLE.write(figure, subtitle, left=left, top=top + row.title_px)
        height, width = panel.shape
        scale = min(column_px / width, row.panel_px / height)
        box = place(figure, left, top + row.heading_px, width=width * scale, height=height * scale)
        axes = figure.add_axes(box)
        draw_panel(axes, panel, legend)
        if resolution_m is not None and panel is row.panels[0]:
            draw_scale_bar(
                axes, width_px=width * scale, height_px=height * scale, width_m=width * resolution_m
            )
        left += column_px + _GAP_PX
