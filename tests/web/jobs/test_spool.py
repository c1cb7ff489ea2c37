"""Uploads of killed processes go, those of requests under way stay."""

from __future__ import annotations

import pytest

from geoseg.settings.serving import ServeSettings
from geoseg.web.jobs.spool import FOLDER, Spool


@pytest.fixture
def settings(tmp_path):
    return ServeSettings(models=(tmp_path,), data=tmp_path, upload_timeout_s=60, timeout_s=120)


def test_uploads_that_outlast_every_request_go(settings):
    folder, spool = settings.data / FOLDER, Spool(settings)
    (folder / "image-1").mkdir(parents=True)
    (folder / "image-1" / "image.tif").write_bytes(b"1")
    (folder / "upload-1").write_bytes(b"1")
    assert spool.clear(now=0) == []
    (folder / "upload-2").write_bytes(b"2")
    assert spool.clear(now=1000) == []
    assert spool.clear(now=3780) == []

    assert set(spool.clear(now=3781)) == {"image-1", "upload-1"}
    assert [path.name for path in folder.iterdir()] == ["upload-2"]
    assert spool.clear(now=4781) == ["upload-2"]


def test_a_folder_that_is_not_there_is_empty(settings):
    assert Spool(settings).clear() == []
