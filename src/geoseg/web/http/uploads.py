"""Uploads: one image per request, in a private folder that is removed after the request."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flask import Request, request
from werkzeug.datastructures import FileStorage

from geoseg.errors import PixelValuesError, RasterError
from geoseg.web.http.problems import BAD_IMAGE, BAD_REQUEST, OTHER_VALUES, TOO_LARGE, UNSUPPORTED, Problem
from geoseg.workflows.service_files import (
    ForeignImageError,
    ImageHeader,
    ImageTooLargeError,
    check_image,
    sniff,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FIELD = "file"
_MAX_PARTS = 16
_SNIFFED_BYTES = 16
_NOT_AN_IMAGE = "The file is not a GeoTIFF, PNG or JPEG."
_REMEDY = "Rescale the image like the training images, or map it unchanged with any_values=true."


@dataclass(frozen=True)
class Image:
    """An image that has passed the checks.

    Attributes:
        path: File in the private folder, named by the service.
        header: Header of the image.
    """

    path: Path
    header: ImageHeader


class SpoolingRequest(Request):
    """A request that writes uploaded files of any size to the folder of the service, under generated names.

    Attributes:
        spool: Folder for uploads.
    """

    spool: Path
    max_form_parts = _MAX_PARTS

    def __init__(self, environ: WSGIEnvironment, **given: Any) -> None:
        if environ.get("CONTENT_LENGTH"):
            # Otherwise Werkzeug accepts a body that is shorter than its Content-Length.
            environ.pop("wsgi.input_terminated", None)
        super().__init__(environ, **given)

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return tempfile.NamedTemporaryFile(dir=self.spool, prefix="upload-")


def spooling_request_class(folder: Path) -> type[SpoolingRequest]:
    """Return a request class that writes uploaded files to a folder."""
    return type("Spooling", (SpoolingRequest,), {"spool": folder})


def announced_bytes() -> int:
    """Return the size of the request body in bytes; its limit if the body comes in chunks."""
    if "Transfer-Encoding" in request.headers:
        return request.max_content_length or 0
    return request.content_length or 0


@contextmanager
def received_image(*, max_pixels: int, max_bands: int) -> Iterator[Image]:
    """Yield the image of the request, after a check of its header; remove it when the block ends.

    Raises:
        Problem: There is not exactly one file, or the file is not a supported image.
    """
    upload = _single_file()
    with tempfile.TemporaryDirectory(dir=Path(upload.stream.name).parent, prefix="image-") as folder:
        path = _link_with_suffix(upload, Path(folder))
        yield Image(path, check_header(path, max_pixels=max_pixels, max_bands=max_bands))


def _single_file() -> FileStorage:
    if request.mimetype != "multipart/form-data":
        detail = f"Send the image as multipart/form-data, in the field {FIELD!r} (curl -F {FIELD}=@PICTURE)."
        raise Problem(UNSUPPORTED, detail)
    # A form part may have no name.
    fields = [field or "" for field, uploads in request.files.lists() for _ in uploads]
    upload = request.files.get(FIELD)
    if upload is None or len(fields) != 1:
        raise _no_single_file(fields)
    if request.form:
        field = next(iter(request.form)) or ""
        detail = f"Put options into the URL (?name=value), not into the form: {field!r}."
        raise Problem(BAD_REQUEST, detail, errors=[{"field": field, "detail": detail}])
    return upload


def _no_single_file(fields: list[str]) -> Problem:
    """Return the problem that names the files received instead of one in the right field."""
    if FIELD in request.form:
        got = f"the field {FIELD!r} came as text, without a file name"
    elif fields:
        got = f"got {len(fields)} in {', '.join(map(repr, sorted(set(fields))))}"
    else:
        got = "got none"
    detail = f"Send exactly one file, in the field {FIELD!r}; {got}."
    return Problem(BAD_REQUEST, detail, errors=[{"field": FIELD, "detail": detail}])


def _link_with_suffix(upload: FileStorage, folder: Path) -> Path:
    """Link the upload to a generated name with the suffix of its content; ignore its own name."""
    upload.stream.flush()
    upload.stream.seek(0)
    start = upload.stream.read(_SNIFFED_BYTES)
    kind = sniff(start)
    if kind is None:
        raise Problem(UNSUPPORTED, _NOT_AN_IMAGE if start else "The file is empty.")
    path = folder / f"image.{kind}"
    path.hardlink_to(upload.stream.name)
    return path


def check_header(path: Path, *, max_pixels: int, max_bands: int) -> ImageHeader:
    """Read and check the header of an image.

    Raises:
        Problem: The image cannot be used.
    """
    try:
        return check_image(path, max_pixels=max_pixels, max_bands=max_bands)
    except ForeignImageError as error:
        raise Problem(UNSUPPORTED, _NOT_AN_IMAGE) from error
    except ImageTooLargeError as error:
        raise Problem(TOO_LARGE, as_sentence(error)) from error
    except RasterError as error:
        raise Problem(BAD_IMAGE, as_sentence(error)) from error


def raster_problem(error: RasterError) -> Problem:
    """Return the problem for an image that cannot be mapped."""
    if isinstance(error, PixelValuesError):
        detail = (
            f"{error.what[:1].upper()}{error.what[1:]}: expected {error.expected}, got {error.got}. {_REMEDY}"
        )
        return Problem(OTHER_VALUES, detail)
    return Problem(BAD_IMAGE, as_sentence(error))


def as_sentence(error: RasterError) -> str:
    """Return the error of an image as a sentence, without its path or the text of a library."""
    return error.what[:1].upper() + error.what[1:] + "."
