"""Draw a confusion matrix: reference in rows, values in per cent of each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.pictures.lettering import Lettering
from geoseg.pictures.sheet import open_sheet, place

_DARK, _LIGHT, _FAINT = "#1a1a1a", "#ffffff", "#8c8c8c"
_DARK_LUMINANCE = 0.0103  # of #1a1a1a
_ABSENT = "#d9d9d9"
_CAPTION_TEXT = "Rows: truth. Columns: map. Per cent of each row, counts beneath; the diagonal is the producer's accuracy."
_MARGIN_PX = 24
_NAME = Lettering(24)
_ABSENT_NOTE = Lettering(22, color="#595959")
_CAPTION = Lettering(22, color="#404040")
_TITLE = Lettering(32, "bold")
_NAME_PX = 340  # a longer row name is broken into lines
# A longer column name is broken once, then cut: slanted lines would run into the next name.
_COLUMN_NAME_PX = 250
_SWATCH_PX = 20
_CELLS_PX = 1440
_CELL_PX = (84.0, 130.0)
_GAP_PX = 10
_SLANT = math.radians(45)


@dataclass(frozen=True)
class _Table:
    """Content of the figure: counts (C, K), names of rows and of the K columns, side of a cell in pixels."""

    counts: NDArray[np.int64]
    rows: Sequence[str]
    columns: Sequence[str]
    cell_px: float

    @property
    def head_px(self) -> float:
        """Height of the slanted column names."""
        lengths = [_NAME.width_px(name) + _NAME.height_px(name) for name in self.columns]
        return max(lengths) * math.sin(_SLANT) + 2 * _GAP_PX

    @property
    def left_px(self) -> float:
        """Width of the row names with their swatches."""
        return max(_NAME.width_px(row) for row in self.rows) + _SWATCH_PX + 2 * _GAP_PX

    @property
    def right_px(self) -> float:
        """Width of slanted column names beyond the last column."""
        after = [len(self.columns) - 0.5 - j for j in range(len(self.columns))]
        reach = [
            _NAME.width_px(c) * math.cos(_SLANT) - n * self.cell_px
            for c, n in zip(self.columns, after, strict=True)
        ]
        return max(0.0, *reach) + 8


def confusion_figure(confusion: NDArray[np.int64], legend: Legend, *, title: str = "") -> Figure:
    """Draw a confusion matrix, each row in per cent of its sum, with the counts below.

    The row of a class that the reference lacks is grey and has no numbers.

    Args:
        confusion: Counts with the truth in rows, int64 (C, C), or (C, C + 1) with a last column of what
            was left unmapped; that is shown only where it is not empty.
        legend: The C classes.
        title: Line above, or "".

    Raises:
        ValueError: The matrix has not the classes of the legend.
    """
    table = _table(confusion, legend)
    sheet_px = table.left_px + len(table.columns) * table.cell_px + table.right_px
    heading, caption = _TITLE.wrap(title, sheet_px), _CAPTION.wrap(_CAPTION_TEXT, sheet_px)
    caption_top = _MARGIN_PX + _TITLE.height_px(heading)
    top = caption_top + _CAPTION.height_px(caption) + table.head_px
    cells_px = len(table.rows) * table.cell_px
    figure = open_sheet(sheet_px + 2 * _MARGIN_PX, top + cells_px + _MARGIN_PX)
    _TITLE.write(figure, heading, left=_MARGIN_PX, top=_MARGIN_PX)
    _CAPTION.write(figure, caption, left=_MARGIN_PX, top=caption_top)
    width = len(table.columns) * table.cell_px
    axes = figure.add_axes(place(figure, _MARGIN_PX + table.left_px, top, width=width, height=cells_px))
    _draw_cells(axes, table)
    _draw_names(axes, table, legend)
    return figure


def count_label(count: int) -> str:
    """Write a count in at most three figures and a unit from 10,000 on, as in "12.3 k"."""
    if count < 10_000:
        return str(count)
    for unit, size in (("k", 1e3), ("M", 1e6)):
        value = float(f"{count / size:.3g}")
        if value < 1000:
            return f"{value:g} {unit}"
    return f"{count / 1e9:.3g} G"


def _table(confusion: NDArray[np.int64], legend: Legend) -> _Table:
    classes = len(legend)
    if confusion.shape not in {(classes, classes), (classes, classes + 1)}:
        raise ValueError(f"confusion has shape {confusion.shape}, the legend {classes} classes")
    has_unmapped = bool(confusion[:, classes:].any())
    rows = [_NAME.wrap(name, _NAME_PX) for name in legend.names]
    columns = [_two_lines(name) for name in [*legend.names, *(["unmapped"] if has_unmapped else [])]]
    cell_px = float(np.clip(_CELLS_PX / len(columns), *_CELL_PX))
    return _Table(confusion[:, : len(columns)], rows, columns, cell_px)


def _two_lines(name: str) -> str:
    lines = _NAME.wrap(name, _COLUMN_NAME_PX).split("\n")
    return "\n".join(lines[:2]) + ("…" if len(lines) > 2 else "")


def _draw_cells(axes: Axes, table: _Table) -> None:
    rows, columns = table.counts.shape
    totals = table.counts.sum(axis=1)
    shares = table.counts / np.maximum(totals, 1)[:, np.newaxis]
    colors = mpl.colormaps["Blues"](shares, bytes=True)[..., :3]
    axes.imshow(colors, aspect="auto", interpolation="nearest")
    axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="white", lw=1.5)
    axes.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="white", lw=1.5)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.spines[:].set(color="#808080", linewidth=0.8)
    for row in np.flatnonzero(totals == 0):
        _draw_absent(axes, int(row), columns)
    for row, col in np.argwhere(np.broadcast_to(totals[:, np.newaxis] > 0, table.counts.shape)):
        _write_numbers(axes, table, (int(row), int(col)), ink=readable_ink(colors[row, col]))


def _draw_absent(axes: Axes, row: int, columns: int) -> None:
    band = Rectangle((-0.5, row - 0.485), columns, 0.97, facecolor=_ABSENT, linewidth=0, zorder=2.5)
    axes.add_patch(band)
    _write(axes, ((columns - 1) / 2, row), "not in the reference", font=_ABSENT_NOTE)


def _write_numbers(axes: Axes, table: _Table, cell: tuple[int, int], *, ink: str) -> None:
    row, col = cell
    count, total = int(table.counts[cell]), int(table.counts[row].sum())
    if count == 0:
        _write(axes, (col, row), "0", font=Lettering(0.2 * table.cell_px, color=_FAINT))
        return
    share = count / total
    per_cent = f"{100 * share:.1f}" if share >= 0.0005 else "<0.1"
    large = Lettering(0.25 * table.cell_px, "bold" if row == col else "normal", ink)
    _write(axes, (col, row - 0.12), per_cent, font=large)
    _write(axes, (col, row + 0.22), count_label(count), font=Lettering(0.19 * table.cell_px, color=ink))


def readable_ink(ground: NDArray[np.uint8]) -> str:
    """Return the text colour, dark or light, with the higher contrast to a background, uint8 (3,) (WCAG 2.2)."""
    red, green, blue = (_linear(int(channel) / 255) for channel in ground)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _DARK if (luminance + 0.05) / (_DARK_LUMINANCE + 0.05) > 1.05 / (luminance + 0.05) else _LIGHT


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _draw_names(axes: Axes, table: _Table, legend: Legend) -> None:
    gap, side = _GAP_PX / table.cell_px, _SWATCH_PX / table.cell_px
    for row, (name, land_class) in enumerate(zip(table.rows, legend.classes, strict=True)):
        left = -0.5 - gap - side
        swatch = Rectangle((left, row - side / 2), side, side, facecolor=land_class.color)
        swatch.set(edgecolor="#555555", linewidth=0.8, clip_on=False)
        axes.add_patch(swatch)
        _write(axes, (left - gap, row), name, font=_NAME, ha="right")
    for col, name in enumerate(table.columns):
        label = _write(axes, (col, -0.5 - gap), name, font=_NAME, ha="left")
        label.set(rotation=math.degrees(_SLANT), rotation_mode="anchor", va="bottom")


def _write(
    axes: Axes,
    place: tuple[float, float],
    text: str,
    *,
    font: Lettering,
    ha: Literal["left", "center", "right"] = "center",
) -> Text:
    """Write ``text`` at a position in cells, vertically centred."""
    words = axes.text(
        *place, text, size=font.points, color=font.color, weight=font.weight, ha=ha, va="center"
    )
    words.set(parse_math=False, linespacing=1.05)
    return words
