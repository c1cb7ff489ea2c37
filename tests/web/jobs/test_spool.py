"""Uploads of killed processes are removed, those of running requests stay."""

from __future__ import annotations

import pytest

from geoseg.settings.serving import ServeSettings
from geoseg.web.jobs.spool import FOLDER, MAX_IDLE_S, Spool


@pytest.fixture
def settings(tmp_path):
    return ServeSettings(models=(tmp_path,), data=tmp_path)


def test_uploads_that_have_not_changed_for_a_day_are_removed(settings):
    folder, spool = settings.data / FOLDER, Spool(settings)
    (folder / "image-1").mkdir(parents=True)
    (folder / "image-1" / "image.tif").write_bytes(b"1")
    (folder / "upload-1").write_bytes(b"1")
    assert spool.clear(now=0) == []
    (folder / "upload-2").write_bytes(b"2")
    assert spool.clear(now=1000) == []
    assert spool.clear(now=MAX_IDLE_S) == []

    assert set(spool.clear(now=MAX_IDLE_S + 1)) == {"image-1", "upload-1"}
    assert [path.name for path in folder.iterdir()] == ["upload-2"]
    assert spool.clear(now=MAX_IDLE_S + 1001) == ["upload-2"]


def test_an_upload_that_is_still_being_written_is_never_removed(settings):
    upload, spool = settings.data / FOLDER / "upload-1", Spool(settings)
    upload.parent.mkdir()
    for day in range(4):
        upload.write_bytes(b"1" * (day + 1))
        assert spool.clear(now=day * MAX_IDLE_S) == []
    assert spool.clear(now=3 * MAX_IDLE_S + 1) == []
    assert upload.exists()
    assert spool.clear(now=4 * MAX_IDLE_S + 1) == ["upload-1"]


def test_a_folder_that_does_not_exist_is_empty(settings):
    assert Spool(settings).clear() == []
