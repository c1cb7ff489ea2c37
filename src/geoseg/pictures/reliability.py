"""Draw a reliability diagram: accuracy by confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from geoseg.pictures.sheet import open_sheet

_SIDE_PX = 520
_SIZE = 13
_BAR, _DIAGONAL = "#00665e", "#767676"


def reliability_figure(bins: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the accuracy in each bin of confidence as a bar; exact confidence lies on the diagonal.

    Args:
        bins: Records with from, to, confidence, accuracy and share, all 0..1.
    """
    figure = open_sheet(_SIDE_PX, _SIDE_PX)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_DIAGONAL, linestyle="--")
    for one in bins:
        axes.bar(
            one["from"],
            one["accuracy"],
            one["to"] - one["from"],
            align="edge",
            color=_BAR,
            alpha=0.25 + 0.75 * one["share"],
            edgecolor="white",
        )
        axes.plot(one["confidence"], one["accuracy"], "o", color="#1a1a1a")
        axes.text((one["from"] + one["to"]) / 2, 0.01, f"{one['share']:.0%}", ha="center", size=_SIZE - 4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence (below: share of the points)", size=_SIZE)
    axes.set_ylabel("right points", size=_SIZE)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
