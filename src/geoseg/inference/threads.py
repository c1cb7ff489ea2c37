"""Number of CPU threads for computing."""

from __future__ import annotations

import os


def cpu_threads() -> int:
    """Return OMP_NUM_THREADS if it is set, or else the number of CPUs that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
