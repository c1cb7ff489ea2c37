"""Downloads from a real server on this machine, broken off and resumed."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError, OutputError
from geoseg.geodata.datasets.downloads import check_sum, download

CONTENT = np.random.default_rng(0).bytes(3 * 1024 * 1024 + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    """A server of one file; ``break_at`` closes the line early, ``has_ranges`` False ignores ranges."""

    class Handler(BaseHTTPRequestHandler):
        break_at, has_ranges, asked = None, True, []

        def do_GET(self):
            wish = self.headers.get("Range")
            self.asked.append(wish)
            first = int(wish.removeprefix("bytes=").removesuffix("-")) if wish and self.has_ranges else 0
            if self.path != "/file.zip":
                self.send_error(404)
                return
            if first >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(CONTENT) - first))
            self.end_headers()
            self.wfile.write(CONTENT[first : self.break_at])

        def log_message(self, *_):
            pass

    Handler.asked = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=running.serve_forever)
    thread.start()
    Handler.url = f"http://127.0.0.1:{running.server_port}/file.zip"
    yield Handler
    running.shutdown()
    running.server_close()
    thread.join()


def _get(server, path, sha256=SHA256):
    download(server.url, path, sha256=sha256, progress=NullProgress())


def test_a_file_comes_whole_and_right(server, tmp_path):
    _get(server, tmp_path / "new" / "file.zip")
    assert (tmp_path / "new" / "file.zip").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file.zip"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    path = tmp_path / "file.zip"
    server.break_at = 2_000_000
    with pytest.raises(DatasetError, match=r"the download broke off.*goes on where it stopped"):
        _get(server, path)
    assert not path.exists()
    server.break_at = None

    _get(server, path)

    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=2000000-"]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.has_ranges = False
    (tmp_path / "file.zip.part").write_bytes(b"something else")
    _get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_download_that_was_only_not_checked_is_not_fetched_again(server, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(CONTENT)
    _get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_wrong_checksum_is_named_and_the_file_removed(server, tmp_path):
    with pytest.raises(DatasetError, match=f"the wrong checksum; expected SHA-256 00; got {SHA256}"):
        _get(server, tmp_path / "file.zip", sha256="00")
    assert not list(tmp_path.iterdir())


def test_a_file_of_the_user_is_left_alone(tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes(b"x")
    with pytest.raises(DatasetError, match="the wrong checksum"):
        check_sum(path, SHA256, NullProgress())
    assert path.exists()


def test_a_full_disk_keeps_what_came(server, tmp_path, full_disk):
    with (
        full_disk(1_000_000),
        pytest.raises(OutputError, match=r"file\.zip\.part: the download cannot be written"),
    ):
        _get(server, tmp_path / "file.zip")
    assert 0 < (tmp_path / "file.zip.part").stat().st_size <= 1_000_000
    _get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_page_or_server_that_is_not_there_is_named(server, tmp_path):
    server.url += "x"
    with pytest.raises(DatasetError, match=r"the server has no such file.*404"):
        _get(server, tmp_path / "file.zip")
    with pytest.raises(DatasetError, match="broke off"):
        download("http://127.0.0.1:9/file.zip", tmp_path / "f", sha256=SHA256, progress=NullProgress())
    with pytest.raises(DatasetError, match="not a web address"):
        download("file:///etc/passwd", tmp_path / "f", sha256=SHA256, progress=NullProgress())
