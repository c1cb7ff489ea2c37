"""Measure, wrap and draw text on a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from geoseg.pictures.sheet import DPI, place

LINE = 1.25
"""Height of a line of text in its font sizes."""

# Widths are those of the outlines; hinting makes drawn text a little wider.
_HINTING = 1.03
_BASELINE = 0.95  # below the top of a line, in font sizes


@dataclass(frozen=True)
class Lettering:
    """A font: size in pixels of the sheet, weight and colour."""

    size_px: float
    weight: Literal["normal", "bold"] = "normal"
    color: str = "#1a1a1a"

    @property
    def points(self) -> float:
        """Font size in typographic points, as matplotlib counts it."""
        return self.size_px * 72 / DPI

    def width_px(self, text: str) -> float:
        """Return the width of the longest line of ``text``, in pixels."""
        font = FontProperties(size=self.size_px, weight=self.weight)
        lines = [line for line in text.split("\n") if line.strip()]
        widths = [text_to_path.get_text_width_height_descent(line, font, False)[0] for line in lines]
        return _HINTING * max(widths, default=0.0)

    def height_px(self, text: str) -> float:
        """Return the height of the lines of ``text``, in pixels; 0 where there is no text."""
        return self.size_px * LINE * len(text.split("\n")) if text else 0.0

    def wrap(self, text: str, width_px: float) -> str:
        """Break ``text`` into lines no wider than ``width_px``: between words, else within a word."""
        lines: list[str] = []
        for piece in (piece for word in text.split() for piece in self._pieces(word, width_px)):
            if lines and self.width_px(f"{lines[-1]} {piece}") <= width_px:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
        return "\n".join(lines)

    def _pieces(self, word: str, width_px: float) -> Sequence[str]:
        pieces = [""]
        for letter in word:
            if pieces[-1] and self.width_px(pieces[-1] + letter) > width_px:
                pieces.append("")
            pieces[-1] += letter
        return pieces

    def write(self, figure: Figure, text: str, *, left: float, top: float) -> None:
        """Write ``text``, line by line; ``left`` and ``top`` in pixels from the top left of the sheet."""
        for number, line in enumerate(text.split("\n") if text else []):
            baseline = top + self.size_px * (LINE * number + _BASELINE)
            x, y, _, _ = place(figure, left, baseline, width=0, height=0)
            words = figure.text(x, y, line, size=self.points, weight=self.weight, color=self.color)
            # Names come from users, so a $ is not the start of a formula.
            words.set(ha="left", va="baseline", parse_math=False)
