"""Rasters are read over HTTP by ranges, without the whole file."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.opening import remote_url
from geoseg.geodata.reading.rasters import describe_raster, open_raster


class Server(ThreadingHTTPServer):
    """Serves the files of a folder by ranges, and counts the bytes."""

    folder: Path
    sent = 0
    is_gone = False


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        path = self.server.folder / self.path.lstrip("/")
        if self.server.is_gone or not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else len(content) - 1, len(content) - 1)
        part = content[first : last + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if with_body:
            self.server.sent += len(part)
            self.wfile.write(part)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.folder = tmp_path
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_is_an_address() -> None:
    assert remote_url(Path("https://example.org/a/b.tif")) == "https://example.org/a/b.tif"
    assert remote_url(Path("http:/example.org/b.tif")) == "http://example.org/b.tif"
    assert remote_url(Path("/data/http/b.tif")) is None
    assert remote_url(Path("ftp://example.org/b.tif")) is None


def test_a_window_costs_its_blocks_and_not_the_file(server: Server, write_raster) -> None:
    values = np.random.default_rng(0).integers(1, 255, (3, 2048, 2048), np.uint8)
    path = write_raster(values, "large.tif", tiled=True, blockxsize=256, blockysize=256)
    url = Path(f"http://127.0.0.1:{server.server_address[1]}/large.tif")
    assert (describe_raster(url).height, describe_raster(url).width) == (2048, 2048)
    with open_raster(url) as raster:
        pixels, valid = raster.read(Window(300, 500, 100, 100))
    assert np.array_equal(pixels, values[:, 300:400, 500:600])
    assert valid.all()
    assert server.sent < path.stat().st_size / 4


def test_a_file_that_is_not_there_is_named(server: Server) -> None:
    with pytest.raises(RasterError, match=r"nowhere\.tif"):
        describe_raster(Path(f"http://127.0.0.1:{server.server_address[1]}/nowhere.tif"))


def test_a_file_that_vanishes_is_named_where_it_is_read(server: Server, write_raster) -> None:
    values = np.random.default_rng(0).integers(1, 255, (3, 1024, 1024), np.uint8)
    write_raster(values, "gone.tif", tiled=True, blockxsize=256, blockysize=256)
    with open_raster(Path(f"http://127.0.0.1:{server.server_address[1]}/gone.tif")) as raster:
        server.is_gone = True
        with pytest.raises(RasterError, match=r"gone\.tif"):
            raster.read(Window(800, 800, 200, 200))
