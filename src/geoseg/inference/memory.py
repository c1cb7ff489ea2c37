"""Memory of the CPU that a network no longer needs, given back to the system."""

from __future__ import annotations

import ctypes
import sys


class MemoryTrimmer:
    """What is free between two windows: kept while their shape stays, because the next one needs the same blocks.

    To return every block at once costs a sixth of the time of a window.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()

    def trim_on_new_shape(self, shape: tuple[int, ...]) -> None:
        """Give free memory back if the window to come has another shape than the last."""
        if shape == self._shape:
            return
        self._shape = shape
        # musl has no such function, and other systems no such C library.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if trim is not None:
            trim(0)
