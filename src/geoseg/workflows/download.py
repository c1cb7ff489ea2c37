"""Download a public dataset."""

from __future__ import annotations

from pathlib import Path

from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import DatasetError
from geoseg.geodata.datasets.archives import check_empty, unpack
from geoseg.geodata.datasets.downloads import check_sum, download
from geoseg.geodata.datasets.landcover_ai import PUBLISHED, Published, Report, prepare
from geoseg.settings import LandCoverSettings
from geoseg.workflows.library_errors import translate_library_errors


@translate_library_errors
def landcover_ai(settings: LandCoverSettings, progress: Progress | None = None) -> Report:
    """Download LandCover.ai v1 or use a local zip, unpack it, check it, and add the legend and splits.

    If the folder is unpacked already, only check it.

    Raises:
        DatasetError: The download fails, or the archive or its content differs from the published one.
        OutputError: The folder cannot be written.
    """
    return fetch(settings, PUBLISHED, progress or PythonWarnings())


def fetch(settings: LandCoverSettings, published: Published, progress: Progress) -> Report:
    """Download, unpack and check an archive with the given checksum and contents."""
    if not (settings.output / "images").is_dir():
        check_empty(settings.output)
        unpack(_archive(settings, published.sha256, progress), settings.output, progress)
    return prepare(settings.output, progress, published)


def _archive(settings: LandCoverSettings, sha256: str, progress: Progress) -> Path:
    if settings.archive is not None:
        if not settings.archive.is_file():
            raise DatasetError("archive not found", where=settings.archive, hint="Check the path.")
        check_sum(settings.archive, sha256, progress)
        return settings.archive
    path = settings.output.parent / "landcover.ai.v1.zip"
    if path.exists():
        check_sum(path, sha256, progress)
    else:
        download(settings.url, path, sha256=sha256, progress=progress)
    return path
