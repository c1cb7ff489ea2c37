"""Whatever forms strangers send, and whatever names they give to files, harm nothing."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.web.hostile.answers import fault_of
from tests.web.hostile.raw_requests import END, FORM, asked, exchange, part
from tests.web.watching import uploads

pytestmark = pytest.mark.slow

NAMES = {
    "up": b"../../etc/passwd",
    "absolute": b"/etc/passwd",
    "NUL": b"a\0.tif",
    "NUL as text": b"a%00.tif",
    "newline as text": b"a%0D%0AX-Evil: 1.tif",
    "10,000 characters": b"a" * 10_000,
    "unicode": "Карта \u202efit.🗺️".encode(),
    "empty": b"",
    "quotes": rb"a\"b.tif",
    "device": b"CON",
    "virtual": b"/vsicurl/http://127.0.0.1/x.tif",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_never_matter(strict, image, name):
    form = part(image, file=b'; filename="' + NAMES[name] + b'"') + END
    answer = exchange(strict.port, asked(form, to=b"/v1/predict?ids=true"))
    assert answer.status == 200
    assert not any(b"evil" in header.lower().encode() for header in answer.headers)
    strict.wait_until(lambda: not uploads(strict))


def test_a_name_in_another_charset_does_not_matter(strict, image):
    form = part(image, file=b"; filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00") + END
    assert exchange(strict.port, asked(form)).status == 200


@pytest.mark.parametrize("name", [b"a\r\nX-Evil: 1.tif", b"a\n.tif", b"\xff\xfe\x80.tif"])
def test_names_that_break_their_header_break_nothing_else(strict, image, name):
    form = part(image, file=b'; filename="' + name + b'"') + END
    answer = exchange(strict.port, asked(form))
    assert answer.status == 200 or fault_of(answer) == "bad-request"
    assert "X-Evil" not in answer.headers


def zipped() -> bytes:
    """Return a zip that wants to write outside the folder it is unpacked in."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../../../../tmp/geoseg-slipped", "/tmp/geoseg-slipped", "..\\slipped.tif"):
            archive.writestr(name, b"slipped")
    return file.getvalue()


FORMS: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "no boundary": lambda good: (asked(good, b"multipart/form-data"), "bad-request"),
    "empty boundary": lambda good: (asked(good, b"multipart/form-data; boundary="), "bad-request"),
    "wrong boundary": lambda good: (asked(good, b"multipart/form-data; boundary=other"), "bad-request"),
    "endless boundary": lambda good: (asked(good, FORM + b"x" * 5000), "bad-request"),
    "1,000 parts": lambda _: (
        asked(b"".join(part(b"v", name=b"p%d" % n, file=b"") for n in range(1000)) + END),
        "too-large",
    ),
    "10 files": lambda _: (
        asked(b"".join(part(b"v", name=b"file%d" % n) for n in range(10)) + END),
        "bad-request",
    ),
    "two fields named file": lambda good: (asked(good.removesuffix(END) + good), "bad-request"),
    "nested": lambda _: (
        asked(part(b"--in\r\n\r\nx\r\n--in--", more=b"Content-Type: multipart/mixed; boundary=in\r\n") + END),
        "unsupported-media-type",
    ),
    "part without headers": lambda _: (asked(b"--bnd\r\n\r\nII*\0\r\n" + END), "bad-request"),
    "part without a name": lambda _: (
        asked(b"--bnd\r\nContent-Disposition: form-data\r\n\r\nII*\0\r\n" + END),
        "bad-request",
    ),
    "huge part header": lambda _: (
        asked(part(b"x", more=b"X-Y: " + b"a" * 700_000 + b"\r\n") + END),
        "too-large",
    ),
    "field without a file": lambda _: (asked(part(b"II*\0", file=b"") + END), "bad-request"),
    "large field without a file": lambda _: (asked(part(b"x" * 900_000, file=b"") + END), "too-large"),
    "other field": lambda good: (asked(good.replace(b'"file"', b'"image"')), "bad-request"),
    "form without an end": lambda good: (asked(good.removesuffix(END)), "bad-request"),
    "form cut in the image": lambda good: (asked(good[:5000]), "bad-request"),
    "empty": lambda _: (asked(b""), "bad-request"),
    "zip slip": lambda _: (asked(part(zipped()) + END), "unsupported-media-type"),
    "gzip": lambda good: (
        asked(gzip.compress(good), more=b"Content-Encoding: gzip\r\n"),
        "bad-request",
    ),
    "other media type": lambda good: (asked(good, b"image/tiff"), "unsupported-media-type"),
    "jobs: zip slip": lambda _: (asked(part(zipped()) + END, to=b"/v1/jobs"), "unsupported-media-type"),
    "jobs: no boundary": lambda good: (asked(good, b"multipart/form-data", to=b"/v1/jobs"), "bad-request"),
}


@pytest.mark.parametrize("name", FORMS)
def test_abused_forms_are_refused(strict, image, name):
    request, problem = FORMS[name](part(image) + END)
    assert fault_of(exchange(strict.port, request)) == problem
    assert not Path("/tmp/geoseg-slipped").exists()
    strict.wait_until(lambda: not uploads(strict))
