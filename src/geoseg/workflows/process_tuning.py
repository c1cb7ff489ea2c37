"""Set speed and memory options of a process that runs only this package: a command, the service, a worker."""

from __future__ import annotations

import ctypes
import os
import sys

_ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h
_OPTIONS = {
    # With this, torch requests huge pages for large tensors. They cause far fewer page faults, which take about
    # 10 % of the time to map a window. torch reads the variable when it allocates the first tensor.
    "THP_MEM_ALLOC_ENABLE": "1",
    # For child processes. mallopt sets the limit in this one.
    "MALLOC_ARENA_MAX": str(_ARENAS),
    # By default GDAL caches blocks in up to 5 % of the memory, so that memory use grows with the raster.
    # 128 MB hold a row of 512-px blocks of a raster 200,000 px wide.
    "GDAL_CACHEMAX": "128",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}


def tune_process() -> None:
    """Set options of torch, GDAL and the C library for this process and its children. Keep options already set.

    Call it before the first tensor and the first raster. Library code never calls it: importing the package must
    not change the user's process.
    """
    has_arenas = "MALLOC_ARENA_MAX" in os.environ
    for name, value in _OPTIONS.items():
        os.environ.setdefault(name, value)
    if not has_arenas:
        _limit_arenas()


def _limit_arenas() -> None:
    """Limit the number of malloc arenas of glibc.

    By default glibc keeps free blocks per thread. With windows of different shapes this doubles the memory use.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none.
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
