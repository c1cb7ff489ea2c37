"""Draw the key of a map: a colour swatch and a name for each class, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from geoseg.domain.legend import Legend
from geoseg.pictures.lettering import Lettering
from geoseg.pictures.sheet import place

NO_DATA_HATCH = "///"
NO_DATA_GREY = "#b4b4b4"
_FONT = Lettering(26)
_SWATCH_PX = (40, 26)
_SPACE_PX = 12  # between a swatch and its name
_GAP_PX = 40  # between columns
_LEADING_PX = 12  # between lines
_NAME_PX = 440  # a longer name is broken into lines


@dataclass(frozen=True)
class _Entry:
    name: str
    color: str
    hatch: str | None = None

    @property
    def width_px(self) -> float:
        return _SWATCH_PX[0] + _SPACE_PX + _FONT.width_px(self.name)

    @property
    def height_px(self) -> float:
        return max(_SWATCH_PX[1], _FONT.height_px(self.name)) + _LEADING_PX


@dataclass(frozen=True)
class Key:
    """Entries arranged row by row in columns; sizes in pixels."""

    lines: Sequence[Sequence[_Entry]]
    columns_px: Sequence[float]

    @property
    def height_px(self) -> float:
        """Height of all lines."""
        return sum(max(entry.height_px for entry in line) for line in self.lines) - _LEADING_PX


def set_key(legend: Legend, width_px: float, *, has_no_data: bool) -> Key:
    """Arrange the key of a legend in as many columns as fit into ``width_px``.

    Args:
        legend: The classes.
        width_px: Space from left to right.
        has_no_data: Whether there is an entry for 255.
    """
    name_px = min(_NAME_PX, width_px - _SWATCH_PX[0] - _SPACE_PX)
    entries = [_Entry(_FONT.wrap(c.name, name_px), c.color) for c in legend.classes]
    if has_no_data:
        entries.append(_Entry("no data", "#ffffff", NO_DATA_HATCH))
    count = next(n for n in range(len(entries), 0, -1) if n == 1 or _width_px(entries, n) <= width_px)
    lines = [entries[i : i + count] for i in range(0, len(entries), count)]
    return Key(lines, _columns_px(entries, count))


def draw_key(figure: Figure, key: Key, *, left: float, top: float) -> None:
    """Draw the key with its top left corner at ``left``, ``top``, in pixels from the top left of the sheet."""
    for line in key.lines:
        x = left
        for entry, width in zip(line, key.columns_px, strict=False):
            _draw_entry(figure, entry, left=x, top=top)
            x += width + _GAP_PX
        top += max(entry.height_px for entry in line)


def _columns_px(entries: Sequence[_Entry], count: int) -> list[float]:
    return [max(entry.width_px for entry in entries[i::count]) for i in range(count)]


def _width_px(entries: Sequence[_Entry], count: int) -> float:
    return sum(_columns_px(entries, count)) + (count - 1) * _GAP_PX


def _draw_entry(figure: Figure, entry: _Entry, *, left: float, top: float) -> None:
    width, height = _SWATCH_PX
    x, y, w, h = place(figure, left, top + 1, width=width, height=height)
    swatch = Rectangle(
        (x, y), w, h, facecolor=entry.color, edgecolor=NO_DATA_GREY, linewidth=0,
        hatch=entry.hatch, transform=figure.transFigure,
    )  # fmt: skip
    frame = Rectangle(
        (x, y), w, h, fill=False, edgecolor="#555555", linewidth=0.8, transform=figure.transFigure
    )
    figure.add_artist(swatch)
    figure.add_artist(frame)
    _FONT.write(figure, entry.name, left=left + width + _SPACE_PX, top=top)
