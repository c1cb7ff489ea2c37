"""Figures of an accuracy assessment: the error matrix, and estimates with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.pictures.matrix import count_label
from geoseg.pictures.sheet import lay_out, open_sheet, wrap

_Floats = NDArray[np.float64]

_CELL_PX, _ROW_PX, _NAME_PX = 84, 44, 220
_DARK, _FAINT = "#1a1a1a", "#767676"
_DARK_SHARE = 0.55
_WIDTH_PX = 900


@dataclass(frozen=True)
class Series:
    """Values (C,) by class with half widths of their intervals, NaN where there are none, and how they are drawn."""

    label: str
    values: _Floats
    half_widths: _Floats
    marker: str = "o"
    color: str = "#00665e"


def error_matrix_figure(counts: _Floats, proportions: _Floats, legend: Legend) -> Figure:
    """Draw an error matrix: share of the area in per cent, with the sampled pixels below.

    Args:
        counts: Sampled pixels (C + 1, C), map class in rows; the last row is not mapped and drawn if it has counts.
        proportions: Shares of the area of the same cells, 0..1.
        legend: The C classes.
    """
    classes = len(legend)
    rows = classes + 1 if counts[-1].any() else classes
    figure = open_sheet(classes * _CELL_PX + 360, rows * _CELL_PX + 220)
    axes = figure.add_subplot()
    totals = proportions[:rows].sum(axis=1, keepdims=True)
    axes.imshow(
        proportions[:rows] / np.where(totals > 0, totals, 1), cmap="Blues", vmin=0, vmax=1, aspect="auto"
    )
    for row in range(rows):
        for col in range(classes):
            _write_cell(axes, row, col, counts=counts, proportions=proportions)
    labels = [wrap(name, _NAME_PX, 11, lines=2) for name in (*legend.names, "unmapped")]
    axes.set_yticks(range(rows), labels[:rows], size=11)
    axes.set_xticks(range(classes), labels[:classes], size=11, rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xlabel("Reference class", size=12)
    axes.set_ylabel("Map class", size=12)
    lay_out(figure)
    return figure


def _write_cell(axes: Axes, row: int, col: int, *, counts: _Floats, proportions: _Floats) -> None:
    if not counts[row, col]:
        axes.text(col, row, "0", size=11, color=_FAINT, ha="center", va="center")
        return
    is_dark = proportions[row, col] > _DARK_SHARE * proportions[row].sum()
    color = "white" if is_dark else _DARK
    share = f"{100 * proportions[row, col]:.2f} %" if proportions[row, col] >= 5e-5 else "<0.01 %"
    axes.text(
        col,
        row - 0.13,
        share,
        size=11,
        color=color,
        ha="center",
        va="center",
        weight="bold" if row == col else None,
    )
    number = count_label(round(float(counts[row, col])))
    axes.text(col, row + 0.22, number, size=10, color=color, ha="center", va="center")


def interval_figure(
    series: Sequence[Series], legend: Legend, *, axis: str, limit: float | None = None
) -> Figure:
    """Draw values by class with their 95 % intervals as horizontal bars.

    Args:
        series: What to draw, one row of each class for each.
        legend: The classes.
        axis: Name and unit of the values.
        limit: End of the axis; None: as the values need.
    """
    figure = open_sheet(_WIDTH_PX, len(legend) * _ROW_PX + 130)
    axes = figure.add_subplot()
    places = np.arange(len(legend), dtype=np.float64)
    offsets = (np.arange(len(series)) - (len(series) - 1) / 2) * 0.24
    for one, offset in zip(series, offsets, strict=True):
        known = np.isfinite(one.values)
        axes.errorbar(
            one.values[known],
            (places + offset)[known],
            xerr=np.nan_to_num(one.half_widths)[known],
            fmt=one.marker,
            color=one.color,
            markersize=7,
            capsize=4,
            linewidth=2,
            label=one.label,
        )
    axes.set_yticks(places, [wrap(name, _NAME_PX, 11, lines=2) for name in legend.names], size=11)
    axes.set_ylim(len(legend) - 0.5, -0.5)
    axes.set_xlim(0, limit)
    axes.set_xlabel(axis, size=12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.grid(axis="x", color="#d0d0d0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(series), frameon=False, fontsize=11)
    lay_out(figure)
    return figure
