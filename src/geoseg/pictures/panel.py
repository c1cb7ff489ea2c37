"""Draw one panel of a figure: an image or a class map, with points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.points import Points
from geoseg.errors import LegendError
from geoseg.pictures.key import NO_DATA_GREY, NO_DATA_HATCH
from geoseg.pictures.sheet import DPI

THINNED_PX = 1000
"""Maximum side of a drawn array; larger arrays are subsampled."""

_DARK = "#1a1a1a"
_DOT_PX = (4.0, 14.0)
_A = TypeVar("_A", bound=np.generic)


@dataclass(frozen=True)
class Panel:
    """Content of a panel: either an image or a class map.

    Attributes:
        title: Its name, above it.
        subtitle: A second line such as "mIoU 74.2 %"; "" where there is none.
        class_ids: Class map, uint8 (H, W), 255 where there is no class; or None.
        rgb: Photograph, uint8 (H, W, 3); or None.
        points: Points on it, in its own pixels; or None.

    Raises:
        ValueError: It has both grounds, or none, or one without pixels.
    """

    title: str
    subtitle: str
    class_ids: NDArray[np.uint8] | None
    rgb: NDArray[np.uint8] | None
    points: Points | None

    def __post_init__(self) -> None:
        if (self.class_ids is None) == (self.rgb is None):
            raise ValueError(f"panel {self.title!r} needs either class_ids or rgb")
        if 0 in self.shape:
            raise ValueError(f"panel {self.title!r} has no pixels: shape {self.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels of the raster."""
        height, width = (self.rgb if self.class_ids is None else self.class_ids).shape[:2]  # type: ignore[union-attr]
        return height, width

    @property
    def has_no_data(self) -> bool:
        """Whether a class map has pixels of value 255."""
        return self.class_ids is not None and bool((self.class_ids == UNLABELLED).any())


def draw_ground(axes: Axes, panel: Panel, legend: Legend) -> None:
    """Draw the image or the class map of a panel, in its own proportions.

    Raises:
        LegendError: The class map has a class that the legend lacks.
    """
    height, width = panel.shape
    axes.set(xticks=[], yticks=[], anchor="NW")
    axes.patch.set(facecolor="white", edgecolor=NO_DATA_GREY, hatch=NO_DATA_HATCH, linewidth=0)
    axes.spines[:].set(color="#808080", linewidth=0.8, zorder=10)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if panel.rgb is not None:
        axes.imshow(_thinned(panel.rgb), extent=extent)
    if panel.class_ids is not None:
        class_ids = _known(_thinned(panel.class_ids), legend, panel.title)
        axes.imshow(_color_table(legend)[class_ids], extent=extent, interpolation="nearest")


def draw_points(axes: Axes, panel: Panel, legend: Legend) -> None:
    """Draw dots in their class colours with a white and a dark edge, visible on any background.

    Raises:
        LegendError: The points have a class that the legend lacks.
    """
    points = panel.points
    if points is None or not len(points):
        return
    colors = _color_table(legend)[_known(points.class_id, legend, panel.title)] / 255
    box = axes.get_window_extent()
    dot = float(np.clip(0.3 * np.sqrt(box.width * box.height / len(points)), *_DOT_PX))
    edge = max(2.0, 0.35 * dot)
    layers: tuple[tuple[Any, float], ...] = ((_DARK, dot + edge + 3), ("white", dot + edge), (colors, dot))
    for order, (ink, diameter_px) in enumerate(layers):
        area = (diameter_px * 72 / DPI) ** 2
        axes.scatter(points.col, points.row, s=area, c=ink, linewidths=0, zorder=2 + order)


def _color_table(legend: Legend) -> NDArray[np.uint8]:
    """Return red, green, blue, opacity by class id, uint8 (256, 4); 255 is transparent to show the hatching."""
    table = np.zeros((256, 4), np.uint8)
    table[: len(legend)] = np.column_stack([legend.rgb, np.full(len(legend), 255, np.uint8)])
    return table


def _known(class_ids: NDArray[np.uint8], legend: Legend, title: str) -> NDArray[np.uint8]:
    foreign = np.setdiff1d(class_ids, [*range(len(legend)), UNLABELLED])
    if foreign.size:
        got = ", ".join(map(str, foreign))
        expected = f"0..{len(legend) - 1} or {UNLABELLED}"
        raise LegendError(
            "a class is not in the legend", where=f"panel {title!r}", expected=expected, got=got
        )
    return class_ids


def _thinned(array: NDArray[_A]) -> NDArray[_A]:
    rows, cols = (_nearest(side) for side in array.shape[:2])
    return array[np.ix_(rows, cols)]


def _nearest(side: int) -> NDArray[np.intp]:
    count = min(side, THINNED_PX)
    return ((np.arange(count) + 0.5) * side / count).astype(np.intp)
