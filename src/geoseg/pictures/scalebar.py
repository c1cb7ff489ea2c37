"""Draw a scale bar with a round length in metres."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

_SHARE = 0.25  # of the width of the ground


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


def draw_scale_bar(axes: Axes, resolution_m: float) -> None:
    """Draw the bar with its length, on a light background, in the lower left corner of a panel.

    Args:
        axes: The panel, in pixels of the raster.
        resolution_m: Size of a pixel on the ground.
    """
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length_m = round_length_m((right - left) * resolution_m)
    thickness = 8 / axes.bbox.height * abs(top - bottom)
    bar = AnchoredSizeBar(
        axes.transData, length_m / resolution_m, length_label(length_m), "lower left",
        size_vertical=thickness, label_top=True, borderpad=0, pad=0.4, sep=4, fill_bar=True,
        fontproperties={"size": 15, "weight": "bold"},
    )  # fmt: skip
    bar.patch.set(alpha=0.85, linewidth=0)
    bar.set_zorder(6)
    axes.add_artist(bar)
