"""Create figures without a display, measured in pixels from the top left corner."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

DPI = 100
"""Pixels per inch of all pictures; pyplot and its global state are not used."""


def open_sheet(width_px: float, height_px: float, *, fitted: bool = False) -> Figure:
    """Create a white figure of the given size; with ``fitted``, matplotlib prevents overlapping axes."""
    size = (round(width_px) / DPI, round(height_px) / DPI)
    engine = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15) if fitted else None
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout=engine)
    FigureCanvasAgg(figure)
    return figure


def place(
    figure: Figure, left: float, top: float, *, width: float, height: float
) -> tuple[float, float, float, float]:
    """Convert a box in pixels from the top left to matplotlib's (left, bottom, width, height), 0..1."""
    sheet_width, sheet_height = (float(side) * DPI for side in figure.get_size_inches())
    bottom = 1 - (top + height) / sheet_height
    return left / sheet_width, bottom, width / sheet_width, height / sheet_height
