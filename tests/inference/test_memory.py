from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from geoseg.inference.memory import MemoryTrimmer
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
free = MemoryTrimmer()
free.trim_on_new_shape((1, 512))
before = resident()
# Freeing large blocks grows the threshold above which malloc maps blocks by themselves.
blocks = [np.ones(1 << 21) for _ in range(20)]
del blocks
small = [np.ones(1 << 14) for _ in range(1600)]
keep = small[::160]  # So that free memory lies between what is in use.
del small
free.trim_on_new_shape((1, int(sys.argv[1])))
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_free_memory_is_returned_to_the_system_when_a_window_of_another_shape_comes() -> None:
    # Of 200 MB ten blocks of 128 KiB are still in use.
    assert _kept(next_side=256) < 40 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_free_memory_is_kept_for_a_window_of_the_same_shape() -> None:
    assert _kept(next_side=512) > 100 << 20


def _kept(next_side: int) -> int:
    # Dask, which other tests use, sets malloc's thresholds for the processes to come.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT, str(next_side)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout)
