"""Files in requests, kept in a temporary folder while they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flask import request

from geoseg.errors import GeoSegError
from geoseg.web.http import problems
from geoseg.web.http.problems import Problem


@contextmanager
def received_file() -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Yield the path of the file in the field ``file`` of a form, and the other fields.

    Only the ending of the client's file name is used.

    Raises:
        Problem: There is no such file.
    """
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise Problem(
            problems.BAD_PARAMETER, "Send the file in the field 'file' of a form (multipart/form-data)."
        )
    ending = "".join(
        letter for letter in Path(upload.filename).suffix.lower() if letter.isalnum() or letter == "."
    )
    with tempfile.TemporaryDirectory(prefix="geoseg-label-") as folder:
        path = Path(folder) / f"upload{ending[:12]}"
        upload.save(path)
        try:
            yield path, request.form
        except GeoSegError as error:
            if error.where is not None:
                error.where = str(error.where).replace(str(path), Path(upload.filename).name)
            raise
