"""Speed and memory options of a process that runs nothing but this package: a command, the service, a worker."""

from __future__ import annotations

import ctypes
import os
import sys

_ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h
_OPTIONS = {
    # torch then asks for huge pages for large tensors. These cost a fraction of the page faults, which take about a
    # tenth of the time of a network that maps a window. torch reads it when it makes its first tensor.
    "THP_MEM_ALLOC_ENABLE": "1",
    # For child processes; mallopt does the same for this one.
    "MALLOC_ARENA_MAX": str(_ARENAS),
    # GDAL would keep up to 5 % of the machine's memory in blocks that it has read or written, so that memory
    # seems to grow with the raster. 128 MB hold a row of 512-px blocks of a raster 200,000 px wide.
    "GDAL_CACHEMAX": "128",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}


def tune_process() -> None:
    """Set options of torch, GDAL and the C library for this process and its children; those already set stay.

    Call it before the first tensor and the first raster. The library never does: the process belongs to the user.
    """
    has_arenas = "MALLOC_ARENA_MAX" in os.environ
    for name, value in _OPTIONS.items():
        os.environ.setdefault(name, value)
    if not has_arenas:
        _limit_arenas()


def _limit_arenas() -> None:
    """Let glibc allocate in few arenas.

    It would keep free blocks for each thread. A network whose windows differ in shape would then end up with twice
    the memory that it needs at once.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none.
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
