"""Draw the key of a map: a colour swatch and a name for each class, in columns."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from geoseg.domain.legend import Legend
from geoseg.pictures.sheet import wrap

NO_DATA_HATCH = "///"
NO_DATA_GREY = "#b4b4b4"
_POINTS = 18
_NAME_PX = 480  # a longer name is broken into lines


def draw_key(figure: Figure, legend: Legend, *, has_no_data: bool) -> None:
    """Draw the key below all axes, in as many columns as fit into the figure.

    Args:
        figure: A figure with constrained layout.
        legend: The classes.
        has_no_data: Whether there is an entry for 255.
    """
    name_px = min(_NAME_PX, figure.bbox.width - 80)
    entries = [Patch(fc=c.color, label=wrap(c.name, name_px, _POINTS)) for c in legend.classes]
    if has_no_data:
        entries.append(Patch(fc="white", hatch=NO_DATA_HATCH, label="no data", hatchcolor=NO_DATA_GREY))
    for entry in entries:
        entry.set(edgecolor="#555555", linewidth=0.8)
    for columns in range(len(entries), 0, -1):
        key = figure.legend(
            handles=entries,
            loc="outside lower left",
            ncols=columns,
            fontsize=_POINTS,
            frameon=False,
            borderpad=0,
            handletextpad=0.5,
        )
        if columns == 1 or key.get_window_extent().width <= figure.bbox.width:
            return
        key.remove()
