"""A raster is fetched from the very machine that was checked, whole or not at all."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import OutputError
from geoseg.web.http.problems import BAD_PARAMETER, FORBIDDEN_SOURCE, TOO_LARGE, Problem
from geoseg.web.jobs.fetching import fetch, is_public
from geoseg.web.jobs.sources import allowed_url

TIFF = b"II*\0" + bytes(100_000)
PAGES = {"/a.tif": TIFF, "/a": b"\x89PNG\r\n\x1a\n", "/photo?size=1": b"\xff\xd8\xff\xe0"}


class _Handler(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]]

    def do_GET(self):
        self.asked.append((self.headers["Host"], self.path))
        content = PAGES.get(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/a.tif")
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"II*\0")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bytes(2 << 20))
        elif self.path == "/noise":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        elif content is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server on loopback, which keeps what it was asked for."""
    handler = type("Handler", (_Handler,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    """Fetch a page of the server by the address that the operator wrote."""

    def get(page, host="127.0.0.1", scheme="http", max_mib=1.0, **options):
        prefix = f"{scheme}://{host}:{server.server_port}/"
        address = allowed_url(prefix + page, [prefix])
        return fetch(address, tmp_path, max_mib=max_mib, **{"progress": NullProgress(), **options})

    return get


def left_in(folder):
    return {path.name for path in folder.iterdir()}


def test_a_raster_comes_as_it_is_and_is_named_by_what_it_is(get, tmp_path, server):
    assert get("a.tif").read_bytes() == TIFF
    assert get("a").name == "input.png"
    assert get("photo?size=1").name == "input.jpg"

    assert left_in(tmp_path) == {"input.tif", "input.png", "input.jpg"}
    assert oct((tmp_path / "input.tif").stat().st_mode & 0o777) == "0o600"
    assert server.RequestHandlerClass.asked[0] == (f"127.0.0.1:{server.server_port}", "/a.tif")


@pytest.mark.parametrize(
    ("page", "kind", "told"),
    [
        ("away", FORBIDDEN_SOURCE, "not followed"),
        ("none", BAD_PARAMETER, "status 404"),
        ("short", BAD_PARAMETER, "the download ended too early"),
        ("noise", BAD_PARAMETER, "connection failed"),
        ("endless", TOO_LARGE, "larger than 1 MiB"),
    ],
)
def test_what_is_no_whole_raster_leaves_nothing(get, tmp_path, page, kind, told):
    with pytest.raises(Problem, match=told) as refused:
        get(page)

    assert refused.value.kind is kind
    assert left_in(tmp_path) == set()


def test_a_raster_that_says_it_is_too_large_is_not_read(get):
    with pytest.raises(Problem) as refused:
        get("a.tif", max_mib=0.05)

    assert refused.value.kind is TOO_LARGE


@pytest.mark.parametrize("places", [["127.0.0.1"], ["93.184.215.14", "10.0.0.7"], ["::1"], []])
def test_a_name_that_leads_into_a_private_network_is_refused(get, server, places):
    with pytest.raises(Problem) as refused:
        get("a.tif", host="good.example", resolve=lambda host, port: places)

    assert refused.value.kind is FORBIDDEN_SOURCE
    assert server.RequestHandlerClass.asked == []


def test_a_host_is_looked_up_once_and_that_address_is_connected_to(get, server):
    looked_up = []

    def resolve(host, port):
        looked_up.append(host)
        return ["127.0.0.1"]

    get("a.tif", host="localhost", resolve=resolve)

    assert looked_up == ["localhost"]
    assert server.RequestHandlerClass.asked == [(f"localhost:{server.server_port}", "/a.tif")]


def test_a_host_that_is_not_known_or_silent_is_told(get, tmp_path):
    def unknown(host, port):
        raise OSError

    with pytest.raises(Problem, match="host is unknown"):
        get("a.tif", resolve=unknown)
    with pytest.raises(Problem, match="does not respond"):
        fetch(
            allowed_url("http://127.0.0.1:1/a", ["http://127.0.0.1:1/"]),
            tmp_path,
            max_mib=1,
            progress=NullProgress(),
        )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")
def test_a_certificate_is_to_be_of_the_hosts_name(get, server, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("certificate")
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem"
    named = [*new.split(), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(named, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    with pytest.raises(Problem, match="not secure"):
        get("a.tif", host="localhost", scheme="https")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))

    assert get("a.tif", host="localhost", scheme="https").read_bytes() == TIFF
    with pytest.raises(Problem, match="not secure"):
        get("a.tif", host="127.0.0.1", scheme="https")


def test_a_full_disk_is_no_fault_of_the_address(get, full_disk, tmp_path):
    with pytest.raises(OutputError), full_disk(1000):
        get("a.tif")

    assert left_in(tmp_path) == set()


def test_a_download_stops_when_it_is_told_to(get, tmp_path):
    class Cancelling(NullProgress):
        def advance(self, steps=1, note=""):
            raise KeyError("cancelled")

    with pytest.raises(KeyError):
        get("a.tif", progress=Cancelling())

    assert left_in(tmp_path) == set()


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
    ],
)
def test_private_addresses_are_not_public_however_they_are_written(text):
    assert not is_public(text)


@pytest.mark.parametrize(
    "text", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"]
)
def test_addresses_of_the_internet_are_public(text):
    assert is_public(text)
