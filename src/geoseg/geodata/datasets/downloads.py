"""Download files with resume after an interruption and a checksum test."""

from __future__ import annotations

import hashlib
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from geoseg.domain.ports import Progress
from geoseg.errors import DatasetError, OutputError

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60
_MIB = 1 << 20
_RANGE_IS_DONE = 416


def download(url: str, path: Path, *, sha256: str, progress: Progress) -> None:
    """Download a file, and resume from a partial file ``path`` + ``.part`` of an earlier attempt.

    Args:
        url: An http or https address.
        path: The file to write; it appears when it is whole and right.
        sha256: Its checksum in hexadecimal digits.
        progress: Told of every mebibyte.

    Raises:
        DatasetError: The server cannot be reached, breaks off, or has another file.
        OutputError: The file cannot be written; what came so far is kept.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, progress)
    except (HTTPException, URLError, TimeoutError, ConnectionError) as error:
        raise DatasetError(
            "the download broke off",
            where=url,
            got=error,
            hint="Run the same command again: it goes on where it stopped. Or download the file by other "
            "means and name it.",
        ) from error
    except OSError as error:
        raise OutputError(
            "the download cannot be written", where=part, got=error.strerror or error
        ) from error
    try:
        check_sum(part, sha256, progress)
    except DatasetError:
        part.unlink()  # Resuming it would give the same wrong checksum.
        raise
    part.replace(path)


def _fetch(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if not url.startswith(("http://", "https://")):
        raise DatasetError("this is not a web address", where=url, expected="http:// or https://")
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        # The shared opener would keep the proxies of the first call in the process, so build a new one.
        answer = cast(HTTPResponse, build_opener().open(request, timeout=_TIMEOUT_S))
    except HTTPError as error:
        if error.code == _RANGE_IS_DONE:
            return  # the file is complete; the checksum is tested next
        if 400 <= error.code < 500:
            raise DatasetError("the server has no such file", where=url, got=error) from error
        raise
    with answer:
        goes_on = answer.status == 206
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        progress.start("Downloading (MiB)", total // _MIB)
        progress.advance(have // _MIB)
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                progress.advance((have + len(chunk)) // _MIB - have // _MIB)
                have += len(chunk)
    if total and have < total:
        raise ConnectionError(f"{have:,} of {total:,} bytes came")


def check_sum(path: Path, sha256: str, progress: Progress) -> None:
    """Check that a file has a given checksum; the file is not changed.

    Raises:
        DatasetError: It has another one.
    """
    progress.start("Checking (MiB)", path.stat().st_size // _MIB)
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
            progress.advance(len(chunk) // _MIB)
    if found.hexdigest() == sha256:
        return
    raise DatasetError(
        "the file has the wrong checksum",
        where=path,
        expected=f"SHA-256 {sha256}",
        got=found.hexdigest(),
        hint="It is damaged or another version; download it again.",
    )
