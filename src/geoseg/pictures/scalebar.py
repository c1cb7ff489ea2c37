"""Draw a scale bar with a round length in metres."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from geoseg.pictures.lettering import Lettering

_SHARE = 0.25  # of the width of the ground
_FONT = Lettering(22, "bold")
_PAD_PX = 10
_BAR_PX = 8


def round_length_m(width_m: float) -> float:
    """Return the length 1, 2 or 5 x 10^k metres with the ratio closest to a quarter of ``width_m``."""
    wanted = math.log10(width_m * _SHARE)
    lengths = [
        factor * 10.0**power
        for power in range(math.floor(wanted), math.floor(wanted) + 2)
        for factor in (1, 2, 5)
    ]
    return min(lengths, key=lambda length: abs(math.log10(length) - wanted))


def length_label(length_m: float) -> str:
    """Format a length in metres, or in kilometres from 1,000 m."""
    return f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"


def draw_scale_bar(axes: Axes, *, width_px: float, height_px: float, width_m: float) -> None:
    """Draw the bar with its length, on a light background, in the lower left corner of a panel.

    Args:
        axes: The panel, without margins.
        width_px: Width of the panel on the sheet.
        height_px: Height of the panel on the sheet.
        width_m: Width of the panel on the ground.
    """
    length_m = round_length_m(width_m)
    bar, label = length_m / width_m, length_label(length_m)
    x, y = _PAD_PX / width_px, _PAD_PX / height_px
    ground_px = max(bar * width_px, _FONT.width_px(label)) + 2 * _PAD_PX
    ground = (ground_px / width_px, (_FONT.size_px * 1.2 + _BAR_PX + 2 * _PAD_PX) / height_px)
    _rectangle(axes, (0, 0), ground, color="#ffffff", alpha=0.85)
    _rectangle(axes, (x, y), (bar, _BAR_PX / height_px), color="#1a1a1a", alpha=1.0)
    axes.text(
        x, y + 1.6 * _BAR_PX / height_px, label, transform=axes.transAxes, color=_FONT.color,
        size=_FONT.points, weight=_FONT.weight, ha="left", va="bottom", zorder=6,
    )  # fmt: skip


def _rectangle(
    axes: Axes, corner: tuple[float, float], size: tuple[float, float], *, color: str, alpha: float
) -> None:
    axes.add_patch(
        Rectangle(
            corner, *size, transform=axes.transAxes, facecolor=color, alpha=alpha, linewidth=0, zorder=5
        )
    )
