"""Bodies whose length or chunks are a lie are refused, and never waited for without end."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from tests.web.hostile.answers import fault_of
from tests.web.hostile.raw_requests import CHUNKED, END, asked, chunk, chunked, exchange, part
from tests.web.watching import uploads

pytestmark = pytest.mark.slow

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
