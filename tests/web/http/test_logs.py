from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging, warnings
from geoseg.web.http.logs import log_to_stderr
log_to_stderr()
logging.getLogger("geoseg.service").info("model loaded", extra={"model": "fields"})
warnings.warn("no CRS was given")
"""


def test_every_line_of_the_log_is_json_and_so_are_warnings_of_libraries():
    command = [sys.executable, "-c", SCRIPT]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    loaded, warned = map(json.loads, lines)
    assert (loaded["event"], loaded["model"], loaded["level"]) == ("model loaded", "fields", "info")
    assert "no CRS was given" in warned["event"]
    assert warned["level"] == "warning"
