"""What can be seen of a whole service from outside."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any


def pending(server: Any) -> float:
    """Return how many predictions are under way."""
    lines = server.get("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("geoseg_pending_predictions ")).split()[1])


def uploads(server: Any) -> set[str]:
    return {path.name for path in (server.data / "uploads").iterdir()}


def children(process: int) -> list[int]:
    found = list[int]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(status.parent.name))
    return found


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process and all that it has started hold."""
    parents = dict[int, list[int]]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(status.parent.name))
    family, new = [process], [process]
    while new:
        new = [child for one in new for child in parents.get(one, [])]
        family += new
    return sum(map(_resident, family))


def _resident(process: int) -> int:
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def assert_no_surprise(server: Any) -> None:
    """Make sure that no fault was one that nobody expected."""
    assert not [line for line in server.lines if "traceback" in line or "Traceback" in str(line.get("event"))]
