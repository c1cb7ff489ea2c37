"""Malformed HTTP, and bodies with a wrong length or wrong chunks, are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from tests.web.hostile.answers import fault_of
from tests.web.hostile.raw_requests import CHUNKED, END, asked, chunk, chunked, exchange, part
from tests.web.watching import uploads

pytestmark = pytest.mark.slow

FRAMES: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "length 0": lambda good: (asked(good, length=b"0"), "bad-request"),
    "length too small": lambda good: (asked(good, length=b"1000"), "bad-request"),
    "length of 30 digits": lambda good: (asked(good, length=b"9" * 30), "too-large"),
    "no length": lambda good: (asked(good, length=b" ".strip()), "bad-request"),
    "chunk size no number": lambda good: (chunked(chunk(good, b"zz")), "bad-request"),
    "chunk size negative": lambda good: (chunked(chunk(good, b"-1")), "bad-request"),
    "chunk size too small": lambda good: (chunked(chunk(good, b"10")), "bad-request"),
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
}

MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "length negative": lambda good: asked(good, length=b"-5"),
    "length no number": lambda good: asked(good, length=b"many"),
    "two lengths": lambda good: asked(good, more=b"Content-Length: 5\r\n"),
    "length and chunks": lambda good: asked(chunk(good) + chunk(b""), more=CHUNKED),
    "chunks in gzip": lambda good: asked(
        chunk(gzip.compress(good)) + chunk(b""),
        length=b"",
        more=b"Transfer-Encoding: gzip, chunked\r\n",
    ),
    "unknown coding": lambda good: asked(good, length=b"", more=b"Transfer-Encoding: odd\r\n"),
    "long header": lambda good: asked(good, more=b"X-A: " + b"a" * 100_000 + b"\r\n"),
    "500 headers": lambda good: asked(good, more=b"X-A: a\r\n" * 500),
    "bad header": lambda good: asked(good, more=b"X A: a\r\n"),
    "long address": lambda good: asked(good, to=b"/" + b"a" * 10_000),
    "odd expectation": lambda good: asked(good, more=b"Expect: 200-maybe\r\n"),
    "TLS": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "markup": lambda _: b"<script>alert(1)</script>\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMES)
def test_bodies_that_are_framed_badly_are_refused(strict, image, name):
    request, problem = FRAMES[name](part(image) + END)
    assert fault_of(exchange(strict.port, request)) == problem
    strict.wait_until(lambda: not uploads(strict))


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http_is_refused_and_harms_nothing(strict, image, name):
    answer = exchange(strict.port, MALFORMED[name](part(image) + END))
    assert 400 <= answer.status < 500 or answer.status == 501
    assert strict.get("/health/live").status == 200
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


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"1" * 10_000, None])
def test_chunks_that_end_too_early_are_refused(strict, image, size):
    request = asked(chunk(part(image) + END, size)[:13_000], length=b"", more=CHUNKED)
    assert fault_of(exchange(strict.port, request, is_cut=True)) == "bad-request"
    strict.wait_until(lambda: not uploads(strict))


def test_services_do_not_hear_a_second_request_in_the_body_of_the_first(strict, image):
    inner = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(strict.port, asked(inner, b"text/plain"))
    assert fault_of(answer) == "unsupported-media-type"
