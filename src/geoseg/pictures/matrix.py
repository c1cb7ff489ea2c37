"""Draw a confusion matrix: reference in rows, values in per cent of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.pictures.sheet import MARGIN_PX, cell_px, lay_out, open_sheet, wrap, write_heading

_DARK, _FAINT, _ABSENT = "#1a1a1a", "#8c8c8c", "#d9d9d9"
_CAPTION = "Rows: truth. Columns: map. Per cent of each row, counts beneath; the diagonal is the producer's accuracy."
_NAME_POINTS, _CAPTION_POINTS, _TITLE_POINTS = 17, 16, 23
_NAME_PX = 340  # a longer row name is broken into lines
_COLUMN_NAME_PX = 250  # a longer column name is broken once, then cut
_CELLS_PX = 1440
_CELL_PX = (84.0, 130.0)
_DARK_SHARE = 0.7  # above it the colour map is so dark that light text has the higher contrast (WCAG 2.2)


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
    classes = len(legend)
    if confusion.shape not in {(classes, classes), (classes, classes + 1)}:
        raise ValueError(f"confusion has shape {confusion.shape}, the legend {classes} classes")
    columns = [*legend.names, *(["unmapped"] if confusion[:, classes:].any() else [])]
    counts = confusion[:, : len(columns)]
    side_px = float(np.clip(_CELLS_PX / len(columns), *_CELL_PX))
    figure = open_sheet(len(columns) * side_px + 600, classes * side_px + 600)
    axes = figure.add_subplot()
    _draw_cells(axes, counts)
    for row, total in enumerate(counts.sum(axis=1)):
        if total:
            _write_row(axes, row, counts[row], size=0.18 * side_px)
        else:
            axes.text(
                (len(columns) - 1) / 2,
                row,
                "not in the reference",
                size=16,
                color="#595959",
                ha="center",
                va="center",
            )
    _write_names(axes, legend, columns)
    lay_out(figure)
    lay_out(figure, wider_px=len(columns) * side_px - cell_px(figure, axes)[0])
    write_heading(figure, title, points=_TITLE_POINTS)
    text = wrap(_CAPTION, figure.bbox.width, _CAPTION_POINTS)
    figure.supxlabel(text, x=MARGIN_PX / figure.bbox.width, ha="left", size=_CAPTION_POINTS, color="#404040")
    lay_out(figure)
    lay_out(figure, higher_px=classes * side_px - cell_px(figure, axes)[1])
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


def _draw_cells(axes: Axes, counts: NDArray[np.int64]) -> None:
    """Colour the cells by their share of the row; rows without counts are grey."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals, counts / np.maximum(totals, 1), np.nan)
    axes.patch.set(facecolor=_ABSENT)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    rows, columns = counts.shape
    axes.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="white", lw=1.5)
    for row in np.flatnonzero(totals):
        axes.vlines(np.arange(1, columns) - 0.5, row - 0.5, row + 0.5, color="white", lw=1.5)
    axes.spines[:].set(color="#808080", linewidth=0.8)


def _write_row(axes: Axes, row: int, counts: NDArray[np.int64], *, size: float) -> None:
    for col, (count, share) in enumerate(zip(counts.tolist(), counts / counts.sum(), strict=True)):
        if not count:
            axes.text(col, row, "0", size=0.8 * size, color=_FAINT, ha="center", va="center")
            continue
        style: dict[str, Any] = {
            "color": "white" if share > _DARK_SHARE else _DARK,
            "ha": "center",
            "va": "center",
        }
        per_cent = f"{100 * share:.1f}" if share >= 0.0005 else "<0.1"
        axes.text(col, row - 0.12, per_cent, size=size, weight="bold" if row == col else "normal", **style)
        axes.text(col, row + 0.22, count_label(count), size=0.75 * size, **style)


def _write_names(axes: Axes, legend: Legend, columns: list[str]) -> None:
    """Write class names beside the rows, with swatches in their colours, and above the columns."""
    axes.tick_params(
        length=0, labelsize=_NAME_POINTS, top=True, labeltop=True, bottom=False, labelbottom=False
    )
    axes.tick_params(axis="y", pad=28)
    axes.set_yticks(range(len(legend)), [wrap(name, _NAME_PX, _NAME_POINTS) for name in legend.names])
    names = [wrap(name, _COLUMN_NAME_PX, _NAME_POINTS, lines=2) for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=45, ha="left", rotation_mode="anchor")
    beside = axes.get_yaxis_transform() + ScaledTranslation(-14 / 72, 0, axes.figure.dpi_scale_trans)
    rows = range(len(legend))
    colors = [land_class.color for land_class in legend.classes]
    axes.scatter(
        [0] * len(rows), rows, 200, colors, marker="s", transform=beside, clip_on=False, ec="#555555", lw=0.8
    )
