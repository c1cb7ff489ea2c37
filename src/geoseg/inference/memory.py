"""Return freed CPU memory to the operating system."""

from __future__ import annotations

import ctypes
import sys


class MemoryTrimmer:
    """Return freed memory to the operating system when the window shape changes.

    While the shape stays the same, the next window reuses the memory. Returning it after every window would cost a
    sixth of the time of a window.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()

    def trim_on_new_shape(self, shape: tuple[int, ...]) -> None:
        """Return free memory if the shape differs from that of the last window."""
        if shape == self._shape:
            return
        self._shape = shape
        # musl and other operating systems have no malloc_trim.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if trim is not None:
            trim(0)
