"""Memory of the CPU that a network no longer needs, given back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_M_ARENA_MAX = -8  # of glibc's malloc.h


class FreeMemory:
    """What is free between two windows: kept while their shape stays, because the next one needs the same blocks.

    Left alone, glibc keeps free blocks for each thread, and a network whose windows differ in shape ends up with twice
    the memory that it ever needs at once. To return every block at once costs a sixth of the time of a window.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        limit = _glibc("mallopt")
        if limit is not None:
            limit(_M_ARENA_MAX, 2)

    def make_room(self, shape: tuple[int, ...]) -> None:
        """Give free memory back if the window to come has another shape than the last."""
        if shape == self._shape:
            return
        self._shape = shape
        trim = _glibc("malloc_trim")
        if trim is not None:
            trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    # musl has neither function, and other systems no such C library.
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
