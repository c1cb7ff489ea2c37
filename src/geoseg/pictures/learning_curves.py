"""Plot learning curves: scores by number of points, and the gain that more points would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, StrMethodFormatter

from geoseg.pictures.sheet import open_sheet

_PANEL_PX = (560, 460)
_COLUMNS = 4
_SIZE = 13
_LINE, _GAIN = "#0072b2", "#d55e00"


def learning_curve_figure(curves: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a panel for each curve: the scores, their 90 % intervals, and the expected gain as a bar on the right.

    Args:
        curves: Records with name, score, points, scores, intervals, points_total and gain.
    """
    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = open_sheet(_PANEL_PX[0] * columns, _PANEL_PX[1] * rows)
    for place, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, place + 1)
        points = np.asarray(curve["points"])
        scores = np.asarray(curve["scores"], np.float64)
        low, high = np.asarray(curve["intervals"], np.float64).T
        axes.fill_between(points, low, high, color=_LINE, alpha=0.15, linewidth=0)
        axes.plot(points, scores, color=_LINE, marker="o")
        ticks = [*points.tolist()[:: max(1, len(points) // 3)]]
        gain = curve["gain"]
        if gain is not None:
            after = curve["points_total"] + gain["more_points"]
            bounds = scores[-1] + np.asarray([gain["expected"], *gain["interval"]])
            axes.errorbar(
                [after],
                [bounds[0]],
                yerr=[[bounds[0] - bounds[1]], [bounds[2] - bounds[0]]],
                color=_GAIN,
                marker="s",
                capsize=5,
            )
            ticks.append(float(after))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_title(f"{curve['name']}, {curve['score']}", size=_SIZE, parse_math=False)
        axes.set_xlabel("points learnt from", size=_SIZE)
        axes.grid(alpha=0.3)
    return figure
