"""Plot training curves: loss, learning rate and held-out scores by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from geoseg.pictures.sheet import open_sheet

_PANEL_PX = (1000, 640)
_SIZE = 16  # points
_CHECKS = (("check_miou", "mIoU", "#0072b2"), ("check_accuracy", "overall accuracy", "#d55e00"))
_LOSS, _RATE = "#1a1a1a", "#8c8c8c"
_MARKED = 40  # epochs up to which each has its dot; a single epoch would be invisible without


def training_curves(history: Sequence[Mapping[str, float]], *, title: str = "") -> Figure:
    """Draw loss and learning rate and, in a second panel, the scores at held-out points if there are any.

    Args:
        history: One mapping per epoch with "epoch", "loss", "learning_rate" and, where they were
            measured, "check_miou" and "check_accuracy", 0..1. NaN stands for what was not measured.
        title: Line above, or "".
    """
    checks = [check for check in _CHECKS if _known(history, check[0])]
    count = 2 if checks else 1
    figure = open_sheet(_PANEL_PX[0] * count, _PANEL_PX[1])
    axes = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    _draw_loss(axes[0], history)
    if checks:
        _draw_checks(axes[1], history, checks)
    for panel in axes:
        _finish(panel)
    if title:
        figure.suptitle(title, size=_SIZE + 4, weight="bold", parse_math=False)
    return figure


def _draw_loss(axes: Axes, history: Sequence[Mapping[str, float]]) -> None:
    rates = axes.twinx()
    _plot(rates, history, "learning_rate", label="learning rate", color=_RATE)
    _plot(axes, history, "loss", label="loss", color=_LOSS)
    axes.set_title("Training loss", size=_SIZE)
    axes.set_ylabel("loss", size=_SIZE)
    axes.set_ylim(bottom=0)
    rates.set_ylim(bottom=0)
    rates.set_ylabel("learning rate (dashed)", size=_SIZE, color="#6e6e6e")
    rates.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    rates.tick_params(labelsize=_SIZE - 2, labelcolor="#6e6e6e")
    rates.spines["top"].set_visible(False)
    axes.set_zorder(rates.get_zorder() + 1)
    axes.patch.set_visible(False)


def _draw_checks(
    axes: Axes, history: Sequence[Mapping[str, float]], checks: Sequence[tuple[str, str, str]]
) -> None:
    for name, label, color in checks:
        last = _known(history, name)[-1][name]
        _plot(axes, history, name, label=f"{label} (last {100 * last:.1f} %)", color=color)
    axes.set_title("Scores at the held-out points", size=_SIZE)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.legend(fontsize=_SIZE - 2, loc="best", framealpha=0.9)


def _plot(axes: Axes, history: Sequence[Mapping[str, float]], name: str, *, label: str, color: str) -> None:
    known = _known(history, name)
    axes.plot(
        [epoch["epoch"] for epoch in known],
        [epoch[name] for epoch in known],
        label=label,
        color=color,
        linewidth=1.6 if name == "learning_rate" else 2.6,
        linestyle="--" if name == "learning_rate" else "-",
        marker="o" if len(known) <= _MARKED and name != "learning_rate" else "",
        markersize=5,
    )


def _known(history: Sequence[Mapping[str, float]], name: str) -> list[Mapping[str, float]]:
    return [epoch for epoch in history if not math.isnan(epoch.get(name, math.nan))]


def _finish(axes: Axes) -> None:
    axes.set_xlabel("epoch", size=_SIZE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=_SIZE - 2)
    axes.grid(color="#e0e0e0")
    axes.set_axisbelow(True)
    axes.spines["top"].set_visible(False)
