from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from geoseg.learning.devices import give_memory_back
if sys.argv[1] == "given back":
    give_memory_back()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
before = resident()
# Grows the threshold above which malloc maps blocks by themselves, as freeing a large block does.
blocks = [np.ones(1 << 21) for _ in range(20)]
for block in blocks[::2]:
    block.fill(2)
small = [np.ones(1 << 17) for _ in range(200)]
del blocks
keep = small[-1]
del small
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_blocks_are_returned_to_the_system_when_they_are_free() -> None:
    command = [sys.executable, "-c", SCRIPT, "given back"]
    kept = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # Of 520 MB one block of 1 MB is still in use.
    assert kept < 20 << 20
