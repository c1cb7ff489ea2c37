from __future__ import annotations

import pytest

from geoseg.domain.ports import NullProgress, PythonWarnings, WarningRecorder
from geoseg.errors import GeoSegWarning


def test_a_call_from_python_shows_warnings_at_its_own_line():
    with pytest.warns(GeoSegWarning, match="Dropped 2 of 9 points") as shown:
        PythonWarnings().warn("Dropped 2 of 9 points.")

    assert [warning.filename for warning in shown] == [__file__]


def test_a_call_from_python_shows_nothing_but_warnings(capfd):
    progress = PythonWarnings()

    progress.start("Reading", 3)
    progress.advance()
    progress.say("36 points on one raster.")

    assert capfd.readouterr() == ("", "")


def test_warnings_are_kept_in_their_order_and_passed_on():
    first, second = "Dropped 2 of 9 points.", "No point of water."
    outer = WarningRecorder(NullProgress())
    recorder = WarningRecorder(outer)

    recorder.say("36 points on one raster.")
    recorder.warn(first)
    recorder.warn(second)

    assert recorder.warnings == outer.warnings == [first, second]
