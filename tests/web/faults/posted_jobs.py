"""Jobs that are posted to a whole service and waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def job_of(server: Any, raster: Path, **headers: str) -> str:
    answer = server.post("/v1/jobs", raster, **headers)
    assert answer.status == 202, answer.body
    return str(answer.headers["location"])


def end_of(server: Any, job: str, **headers: str) -> dict[str, Any]:
    """Wait until a job is over, and return how it stands."""

    def over() -> Any:
        found = server.get(job, **headers).json
        return found if found["state"] in {"done", "failed", "cancelled"} else None

    return server.wait_until(over, "the job to be over")
