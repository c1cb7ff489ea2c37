"""Whatever strangers send is answered by a problem, in bounded time and memory, and the next good request works."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import re
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from tests.hostile_images import hostile_images

pytestmark = pytest.mark.slow

# Far above what an answer takes here, and far below what an attack would cost: machines are busy.
LONGEST_S = 30.0
MOST_GROWTH = 600 << 20
UPLOAD_S = 2.0
SLOW_CLIENTS = 40
BOUNDARY = b"bnd"
FORM = b"multipart/form-data; boundary=" + BOUNDARY
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"--bnd--\r\n"
# Paths, and words of the libraries that read images or requests.
INDISCREET = re.compile(
    r"/tmp|/home|/root|/work|/usr|uploads|image\.tif|vsimem|\.py\b|traceback|errno|gdal|rasterio|cple|libtiff|libpng|"
    r"libjpeg|tiffread|tifffetch|numpy|torch|werkzeug|flask|gunicorn|0x[0-9a-f]{6}",
    re.IGNORECASE,
)


def part(
    body: bytes, *, name: bytes = b"file", file: bytes = b'; filename="a.tif"', more: bytes = b""
) -> bytes:
    """Return one part of a form."""
    said = b'Content-Disposition: form-data; name="' + name + b'"' + file + b"\r\n" + more
    return b"--bnd\r\n" + said + b"\r\n" + body + b"\r\n"


def chunk(body: bytes, size: bytes | None = None) -> bytes:
    """Return one chunk, whose size may be a lie."""
    return (b"%x" % len(body) if size is None else size) + b"\r\n" + body + b"\r\n"


def asked(
    body: bytes,
    media: bytes = FORM,
    *,
    length: bytes | None = None,
    more: bytes = b"",
    to: bytes = b"/v1/predict",
) -> bytes:
    """Return a whole request; ``length``: what it says of the body's, nothing where it is empty."""
    size = b"%d" % len(body) if length is None else length
    lines = [b"POST " + to + b" HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Type: " + media]
    lines += [b"Content-Length: " + size] if size else []
    return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n" + body


def exchange(port: int, request: bytes, *, is_cut: bool = False) -> http.client.HTTPResponse:
    """Send bytes as they are, and return the answer; ``is_cut``: nothing will follow, and the client says so."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S) as line:
        with suppress(ConnectionError):  # It may answer before it has read everything.
            line.sendall(request)
            if is_cut:
                line.shutdown(socket.SHUT_WR)
        return whole_answer(line)


def whole_answer(line: socket.socket) -> http.client.HTTPResponse:
    """Read the answer that follows 100 Continue, if that comes."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    answer.content = answer.read()  # type: ignore[attr-defined]
    return answer


def fault_of(answer: Any) -> str:
    """Return the kind of a fault, after making sure that it is told as faults are, discreetly."""
    assert 400 <= answer.status < 500, (answer.status, answer.content[:300])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert problem["status"] == answer.status
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    said = " ".join([problem["detail"], *(error["detail"] for error in problem.get("errors", ()))])
    assert not INDISCREET.search(said), said
    return str(problem["type"]).removeprefix("urn:geoseg:problem:")


def memory_of(process: int) -> int:
    """Return the bytes of memory that a process and all that it has started hold."""
    parents = dict[int, list[int]]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(status.parent.name))
    family, new = [process], [process]
    while new:
        new = [child for one in new for child in parents.get(one, [])]
        family += new
    return sum(map(_resident, family))


def _resident(process: int) -> int:
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def uploads(server: Any) -> list[str]:
    return [path.name for path in (server.data / "uploads").iterdir()]


def assert_well(server: Any, raster: Path) -> None:
    """Make sure that a good request is answered well, and that nothing of any request is left."""
    answer = server.post("/v1/predict?ids=true", raster)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    server.wait_until(lambda: not uploads(server), "uploads to be removed")


@pytest.fixture(scope="module")
def strict(serve_session: Any, model: Path) -> Any:
    """A service that takes small bodies, and takes them quickly or not at all."""
    return serve_session(
        model, job_workers=0, upload_timeout_s=UPLOAD_S, max_upload_mib=8, timeout_s=LONGEST_S / 2, threads=16
    )


@pytest.fixture(scope="module")
def image(raster: Path) -> bytes:
    return raster.read_bytes()


class Poster:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)

    def post(self, content: bytes, query: str = "") -> Any:
        body, headers = part(content) + END, {"Content-Type": FORM.decode()}
        try:
            self._line.request("POST", "/v1/predict" + query, body, headers)
            answer = self._line.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            # The service closes a connection whose body it did not want to read.
            self._line.close()
            self._line.request("POST", "/v1/predict" + query, body, headers)
            answer = self._line.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        return answer

    def close(self) -> None:
        self._line.close()


def test_hostile_images_are_refused_and_good_ones_mapped_all_the_while(strict, image, raster):
    cases = list(hostile_images())
    right = strict.post("/v1/predict?ids=true", raster).body
    before, wrong, seconds = memory_of(strict.process.pid), list[str](), dict[str, float]()

    def send(first: int) -> None:
        poster = Poster(strict.port)
        try:
            for number in range(first, len(cases), 4):
                name, content, may_succeed = cases[number]
                began = time.monotonic()
                answer = poster.post(content)
                seconds[name] = time.monotonic() - began
                # Fair ones may be large.
                if not (may_succeed and answer.status in {200, 504}):
                    wrong.extend(_faults(name, answer))
                if number % 100 < 4:
                    assert poster.post(image, "?ids=true").content == right
        finally:
            poster.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))

    assert len(cases) >= 300
    assert not wrong
    assert len(seconds) == len(cases)
    assert max(seconds.values()) < LONGEST_S, max(seconds, key=seconds.__getitem__)
    assert memory_of(strict.process.pid) - before < MOST_GROWTH
    assert_well(strict, raster)


def _faults(name: str, answer: Any) -> Iterator[str]:
    try:
        fault_of(answer)
    except (AssertionError, ValueError, KeyError) as error:
        yield f"{name}: {error}"


SHAPES = {
    "100,000 columns": np.full((3, 1, 100_000), 90, np.uint8),
    "100,000 rows": np.full((3, 100_000, 1), 90, np.uint8),
    "no number": np.full((3, 64, 64), np.nan, np.float32),
    "infinite": np.full((3, 64, 64), np.inf, np.float32),
    "minus infinite": np.full((3, 64, 64), -np.inf, np.float32),
    "greatest float": np.full((3, 64, 64), np.finfo(np.float32).max, np.float32),
    "no data": np.zeros((3, 64, 64), np.uint8),
}


@pytest.mark.parametrize("name", SHAPES)
def test_extreme_images_are_answered_in_bounded_time_and_memory(strict, raster, write_tiff, tmp_path, name):
    path = write_tiff(tmp_path / "extreme.tif", SHAPES[name], nodata=0 if name == "no data" else None)
    before, began = memory_of(strict.process.pid), time.monotonic()
    answer = strict.post("/v1/predict", path, Accept="application/json")
    if answer.status == 200:
        height, width = SHAPES[name].shape[1:]
        assert (answer.json["height"], answer.json["width"]) == (height, width)
    else:
        assert (answer.status, answer.problem) in {(422, "bad-image"), (504, "timeout")}
    assert time.monotonic() - began < LONGEST_S
    assert memory_of(strict.process.pid) - before < MOST_GROWTH
    assert_well(strict, raster)


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


FRAMES: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "length too large": lambda good: (asked(good[:-9], length=b"%d" % len(good)), "upload-timeout"),
    "length 0": lambda good: (asked(good, length=b"0"), "bad-request"),
    "length too small": lambda good: (asked(good, length=b"1000"), "bad-request"),
    "length negative": lambda good: (asked(good, length=b"-5"), "bad-request"),
    "length no number": lambda good: (asked(good, length=b"many"), "bad-request"),
    "length of 30 digits": lambda good: (asked(good, length=b"9" * 30), "too-large"),
    "two lengths": lambda good: (asked(good, more=b"Content-Length: 5\r\n"), "bad-request"),
    "no length": lambda good: (asked(good, length=b" ".strip()), "bad-request"),
    "length and chunks": lambda good: (asked(chunk(good) + chunk(b""), more=CHUNKED), "bad-request"),
    "chunk size no number": lambda good: (chunked(chunk(good, b"zz")), "bad-request"),
    "chunk size negative": lambda good: (chunked(chunk(good, b"-1")), "bad-request"),
    "chunk size too small": lambda good: (chunked(chunk(good, b"10")), "bad-request"),
    "chunk size of 10,000 digits": lambda good: (chunked(chunk(good, b"1" * 10_000)), "upload-timeout"),
    "chunks in gzip": lambda good: (
        asked(
            chunk(gzip.compress(good)) + chunk(b""),
            length=b"",
            more=b"Transfer-Encoding: gzip, chunked\r\n",
        ),
        "bad-request",
    ),
    "unknown coding": lambda good: (
        asked(good, length=b"", more=b"Transfer-Encoding: odd\r\n"),
        "bad-request",
    ),
    "too large": lambda _: (asked(part(b"x" * 9_000_000) + END), "too-large"),
    "too large in chunks": lambda _: (chunked(chunk(part(b"x" * 9_000_000) + END)), "too-large"),
    "endless in chunks": lambda _: (
        chunked(chunk(part(b"")[:-2]) + chunk(b"x" * 65_536) * 160),
        "too-large",
    ),
    "jobs: chunk size no number": lambda _: (
        asked(b"zz\r\n{}", b"application/json", length=b"", more=CHUNKED, to=b"/v1/jobs"),
        "bad-request",
    ),
    "long header": lambda good: (asked(good, more=b"X-A: " + b"a" * 100_000 + b"\r\n"), "bad-request"),
    "500 headers": lambda good: (asked(good, more=b"X-A: a\r\n" * 500), "bad-request"),
    "bad header": lambda good: (asked(good, more=b"X A: a\r\n"), "bad-request"),
    "long address": lambda good: (asked(good, to=b"/" + b"a" * 10_000), "bad-request"),
    "odd expectation": lambda good: (asked(good, more=b"Expect: 200-maybe\r\n"), "bad-request"),
    "TLS": lambda _: (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "bad-request"),
    "markup": lambda _: (b"<script>alert(1)</script>\r\n\r\n", "bad-request"),
}


def chunked(chunks: bytes) -> bytes:
    return asked(chunks + chunk(b""), length=b"", more=CHUNKED)


@pytest.mark.parametrize("name", FRAMES)
def test_bodies_that_are_framed_badly_are_refused(strict, image, name):
    request, problem = FRAMES[name](part(image) + END)
    assert fault_of(exchange(strict.port, request)) == problem
    strict.wait_until(lambda: not uploads(strict))


def test_good_chunks_are_taken(strict, image):
    form = part(image) + END
    pieces = b"".join(chunk(form[at : at + 999]) for at in range(0, len(form), 999))
    assert exchange(strict.port, chunked(pieces)).status == 200


@pytest.mark.parametrize("length", [b"2000000000", b"40000"])
def test_a_body_that_ends_too_early_is_refused(strict, image, length):
    answer = exchange(strict.port, asked(part(image)[:20_000], length=length), is_cut=True)
    assert fault_of(answer) == ("too-large" if len(length) > 6 else "bad-request")
    strict.wait_until(lambda: not uploads(strict))


def test_chunks_that_end_too_early_are_refused(strict, image):
    request = asked(chunk(part(image) + END)[:3000], length=b"", more=CHUNKED)
    assert fault_of(exchange(strict.port, request, is_cut=True)) == "bad-request"
    strict.wait_until(lambda: not uploads(strict))


@pytest.mark.parametrize("size", [b"ffffffffffffffff", None])
def test_chunks_that_are_never_sent_are_waited_for_only_so_long(strict, image, size):
    request = asked(chunk(part(image) + END, size), length=b"", more=CHUNKED)
    assert fault_of(exchange(strict.port, request)) == "upload-timeout"


def test_services_do_not_hear_a_second_request_in_the_body_of_the_first(strict, image):
    inner = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(strict.port, asked(inner, b"text/plain"))
    assert fault_of(answer) == "unsupported-media-type"


def drip(port: int, beginning: bytes, drop: bytes) -> tuple[float, bytes]:
    """Send a beginning and then a drop now and then; return how long that went and what was answered."""
    began, answer = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as line, suppress(ConnectionError):
        line.settimeout(0.2)
        line.sendall(beginning)
        while time.monotonic() - began < LONGEST_S:
            try:
                if not (piece := line.recv(65_536)):
                    break
                answer += piece
            except TimeoutError:
                line.sendall(drop)
    return time.monotonic() - began, answer


def slow_requests(image: bytes) -> dict[str, tuple[bytes, bytes]]:
    """Return, by name, how requests begin that go on drop by drop."""
    return {
        "nothing": (b"", b""),
        "request line": (b"POST /v1", b"x"),
        "headers": (b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n", b"X-A: a\r\n"),
        "body": (asked(part(image)[:10_000], length=b"500000"), b"x"),
        "chunks": (asked(chunk(part(image)[:10_000]), length=b"", more=CHUNKED), chunk(b"x")),
    }


@pytest.mark.parametrize("where", ["nothing", "request line", "headers", "body", "chunks"])
def test_slow_uploads_end(strict, image, where):
    seconds, answer = drip(strict.port, *slow_requests(image)[where])
    assert seconds < LONGEST_S / 2
    assert not answer or answer.startswith(b"HTTP/1.1 408 ")
    if where in {"body", "chunks"}:
        assert b"upload-timeout" in answer
    strict.wait_until(lambda: not uploads(strict))


@pytest.mark.parametrize("where", ["headers", "body"])
def test_many_slow_clients_do_not_keep_others_from_being_answered(strict, image, raster, where):
    request = slow_requests(image)[where]
    with ThreadPoolExecutor(SLOW_CLIENTS) as pool:
        slow = [pool.submit(drip, strict.port, *request) for _ in range(SLOW_CLIENTS)]
        began = time.monotonic()
        assert strict.post("/v1/predict", raster).status == 200
        assert time.monotonic() - began < LONGEST_S / 2
        assert max(one.result()[0] for one in slow) < LONGEST_S
    assert_well(strict, raster)


def test_clients_that_take_no_answer_do_not_keep_others_from_theirs(strict, raster):
    page = strict.get("/docs/swagger").body.decode()
    assets = [urljoin("/docs/swagger", found) for found in re.findall(r"[\w./-]+\.js", page)]
    large = max(assets, key=lambda asset: len(strict.get(asset).body))
    assert len(strict.get(large).body) > 1_000_000
    # Several, so that they do not fit between two programs.
    request = f"GET {large} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 20
    assert_others_are_answered(strict, raster, request, room=4096)


@pytest.mark.parametrize("said", [b"no HTTP\r\n\r\n", b"GET /nowhere HTTP/1.0\r\n\r\n"])
def test_clients_that_stay_after_their_answer_do_not_keep_others_from_theirs(strict, raster, said):
    assert_others_are_answered(strict, raster, said)


def assert_others_are_answered(server: Any, raster: Path, request: bytes, *, room: int = 65_536) -> None:
    """Make sure that a good request is answered while many others hold a connection whose answer they do not read."""
    with ExitStack() as lines:
        for _ in range(SLOW_CLIENTS):
            line = lines.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            line.connect(("127.0.0.1", server.port))
            line.sendall(request)
        began = time.monotonic()
        assert server.post("/v1/predict", raster).status == 200
        assert time.monotonic() - began < LONGEST_S
    assert_well(server, raster)
