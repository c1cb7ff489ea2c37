"""Create figures without a display, measured in pixels."""

from __future__ import annotations

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

DPI = 100
"""Pixels per inch of all pictures; pyplot and its global state are not used."""

MARGIN_PX = 10
_LETTER = 0.62  # width of a letter in font sizes: more than the mean, so that lines of wide letters fit too


def open_sheet(width_px: float, height_px: float) -> Figure:
    """Create a white figure of the given size in which matplotlib keeps axes, texts and legends apart."""
    size = (round(width_px) / DPI, round(height_px) / DPI)
    engine = ConstrainedLayoutEngine(w_pad=MARGIN_PX / DPI, h_pad=MARGIN_PX / DPI, wspace=0, hspace=0)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout=engine)
    FigureCanvasAgg(figure)
    return figure


def wrap(text: str, width_px: float, points: float, *, lines: int | None = None) -> str:
    """Break ``text`` of a font size in points into lines of a width in pixels; cut it after ``lines``."""
    letters = int(width_px / (_LETTER * points * DPI / 72))
    return fill(text, max(2, letters), max_lines=lines, placeholder="…")


def write_heading(figure: Figure, title: str, *, points: float) -> None:
    """Write a title above all axes, aligned to the left, in as many lines as it needs."""
    if title:
        text = wrap(title, figure.bbox.width, points)
        figure.suptitle(text, x=MARGIN_PX / figure.bbox.width, ha="left", size=points, weight="bold")


def lay_out(figure: Figure, *, wider_px: float = 0.0, higher_px: float = 0.0) -> None:
    """Make a figure wider and higher, and place all its parts. A $ in a name does not start a formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + wider_px / DPI, height + higher_px / DPI)
    figure.draw_without_rendering()


def cell_px(figure: Figure, axes: Axes) -> tuple[float, float]:
    """Return width and height of the space of axes in pixels, which their contents may not fill."""
    cell = axes.get_position(original=True)
    return cell.width * figure.bbox.width, cell.height * figure.bbox.height
