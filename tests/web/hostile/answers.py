"""How a service that strangers abuse has to answer: faults discreetly, good requests well."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.web.watching import uploads

# Paths, and words of the libraries that read images or requests.
INDISCREET = re.compile(
    r"/tmp|/home|/root|/work|/usr|uploads|image\.tif|vsimem|\.py\b|traceback|errno|gdal|rasterio|cple|libtiff|libpng|"
    r"libjpeg|tiffread|tifffetch|numpy|torch|werkzeug|flask|gunicorn|0x[0-9a-f]{6}",
    re.IGNORECASE,
)


def fault_of(answer: Any) -> str:
    """Return the kind of a fault, after making sure that it is told as faults are, discreetly."""
    assert 400 <= answer.status < 500, (answer.status, answer.content[:300])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert problem["status"] == answer.status
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    said = " ".join([problem["detail"], *(error["detail"] for error in problem.get("errors", ()))])
    assert not INDISCREET.search(said), said
    return str(problem["type"]).removeprefix("urn:geoseg:problem:")


def assert_well(server: Any, raster: Path) -> None:
    """Make sure that a good request is answered well, and that nothing of any request is left."""
    answer = server.post("/v1/predict?ids=true", raster)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    server.wait_until(lambda: not uploads(server), "uploads to be removed")
