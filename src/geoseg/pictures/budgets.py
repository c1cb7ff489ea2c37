"""Plot scores of several methods against the number of points, and by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from geoseg.pictures.sheet import open_sheet

_SIZE = 16  # points
# The Okabe-Ito palette, which is safe for colour-blind readers, and a marker for each method.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKS = "osD^vP"


@dataclass(frozen=True)
class Score:
    """Mean and standard deviation of a method's score at a total number of points."""

    points: int
    mean: float
    deviation: float


def budget_figure(methods: Mapping[str, Sequence[Score]], ceiling: float | None) -> Figure:
    """Draw the mean IoU of each method against its total number of points, with the ceiling if given.

    Args:
        methods: Scores 0..1 by method; NaN deviations are not drawn.
        ceiling: Mean IoU of full supervision.
    """
    figure = open_sheet(1200, 760)
    axes = figure.add_subplot()
    for place, (name, scores) in enumerate(methods.items()):
        _draw_method(axes, name, sorted(scores, key=lambda s: s.points), place=place)
    if ceiling is not None:
        axes.axhline(ceiling, color="#404040", linestyle="--", linewidth=1.8, label="full supervision")
    axes.set_xscale("log")
    budgets = sorted({s.points for scores in methods.values() for s in scores})
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{points:,}" for points in budgets])
    axes.set_xlabel("points in total", size=_SIZE)
    _finish(axes, "mean IoU")
    axes.legend(fontsize=_SIZE - 2, framealpha=0.9)
    return figure


def _draw_method(axes: Axes, name: str, scores: Sequence[Score], *, place: int) -> None:
    color = _COLORS[place % len(_COLORS)]
    points, mean = [s.points for s in scores], [s.mean for s in scores]
    axes.errorbar(
        points,
        mean,
        yerr=np.nan_to_num([s.deviation for s in scores]),
        label=name,
        color=color,
        marker=_MARKS[place % len(_MARKS)],
        markersize=9,
        linewidth=2.4,
        capsize=6,
    )


def class_figure(panels: Mapping[str, Mapping[str, Sequence[float]]], classes: Sequence[str]) -> Figure:
    """Draw the IoU of each class as bars, one panel per budget.

    Args:
        panels: By title: IoU 0..1 of the classes, by method; NaN for a class that is absent.
        classes: Names of the classes.
    """
    figure = open_sheet(1500, 520 * len(panels))
    for number, (title, methods) in enumerate(panels.items()):
        axes = figure.add_subplot(len(panels), 1, number + 1)
        width = 0.8 / len(methods)
        for place, (name, iou) in enumerate(methods.items()):
            left = np.arange(len(classes)) + (place - (len(methods) - 1) / 2) * width
            axes.bar(left, np.nan_to_num(iou), width, label=name, color=_COLORS[place % len(_COLORS)])
        axes.set_xticks(range(len(classes)), classes)
        axes.set_title(title, size=_SIZE)
        axes.set_ylim(0, 1)
        _finish(axes, "IoU")
        if not number:
            axes.legend(fontsize=_SIZE - 2, framealpha=0.9, ncols=len(methods))
    return figure


def _finish(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, size=_SIZE)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.tick_params(labelsize=_SIZE - 2)
    axes.grid(axis="y", color="#e0e0e0")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
