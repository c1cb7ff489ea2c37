"""Fetch a public dataset."""

from __future__ import annotations

from pathlib import Path

from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import DatasetError
from geoseg.geodata.datasets.archives import check_empty, unpack
from geoseg.geodata.datasets.downloads import check_sum, download
from geoseg.geodata.datasets.landcover_ai import PUBLISHED, Published, Report, prepare
from geoseg.settings import LandCoverSettings
from geoseg.workflows.library_faults import plain_faults


@plain_faults
def landcover_ai(settings: LandCoverSettings, progress: Progress | None = None) -> Report:
    """Download LandCover.ai v1 or take its zip, unpack it, check it, and add what our commands need.

    A folder that is unpacked already is only checked.

    Raises:
        DatasetError: The server, the archive or what it holds is not right.
        OutputError: The folder cannot be written.
    """
    return fetch(settings, PUBLISHED, progress or PythonWarnings())


def fetch(settings: LandCoverSettings, published: Published, progress: Progress) -> Report:
    """Do so for an archive with this checksum and these contents."""
    if not (settings.output / "images").is_dir():
        check_empty(settings.output)
        unpack(_archive(settings, published.sha256, progress), settings.output, progress)
    return prepare(settings.output, progress, published)


def _archive(settings: LandCoverSettings, sha256: str, progress: Progress) -> Path:
    if settings.archive is not None:
        if not settings.archive.is_file():
            raise DatasetError("there is no such archive", where=settings.archive)
        check_sum(settings.archive, sha256, progress)
        return settings.archive
    path = settings.output.parent / "landcover.ai.v1.zip"
    if path.exists():
        check_sum(path, sha256, progress)
    else:
        download(settings.url, path, sha256=sha256, progress=progress)
    return path
