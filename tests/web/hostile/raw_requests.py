"""Requests as bytes, however wrong, and the connections that they are sent over."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress

# Far above what an answer takes here, and far below what an attack would cost: machines are busy.
LONGEST_S = 30.0
BOUNDARY = b"bnd"
FORM = b"multipart/form-data; boundary=" + BOUNDARY
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"--bnd--\r\n"


def part(
    body: bytes, *, name: bytes = b"file", file: bytes = b'; filename="a.tif"', more: bytes = b""
) -> bytes:
    """Return one part of a form."""
    said = b'Content-Disposition: form-data; name="' + name + b'"' + file + b"\r\n" + more
    return b"--bnd\r\n" + said + b"\r\n" + body + b"\r\n"


def chunk(body: bytes, size: bytes | None = None) -> bytes:
    """Return one chunk, whose size may be a lie."""
    return (b"%x" % len(body) if size is None else size) + b"\r\n" + body + b"\r\n"


def chunked(chunks: bytes) -> bytes:
    return asked(chunks + chunk(b""), length=b"", more=CHUNKED)


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
