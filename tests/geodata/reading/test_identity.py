"""One identity of a raster: it changes with every file that its pixels come from, here or on a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import RasterError
from geoseg.geodata.reading.identity import first_changed_file, raster_identity
from geoseg.geodata.reading.rasters import describe_raster, local_files


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write_vrt(path: Path, source: str) -> Path:
    path.write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


def touch(path: Path) -> None:
    """Give a file a later time, whatever the clock's steps."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def test_a_file_is_its_path_size_and_time(write_raster) -> None:
    path = write_raster([[1, 2]])
    state = path.stat()
    assert raster_identity(path) == [[str(path), state.st_size, state.st_mtime_ns]]


def test_a_virtual_raster_stands_for_its_sources_down_to_the_last(write_raster, tmp_path: Path) -> None:
    path = write_raster([[1, 2]], "a.tif")
    inner = write_vrt(tmp_path / "inner.vrt", "a.tif")
    outer = write_vrt(tmp_path / "outer.vrt", "inner.vrt")
    assert local_files(outer) == [path, inner, outer]
    before = raster_identity(outer)
    for changed in (path, inner, outer):
        touch(changed)
        assert raster_identity(outer) != before
        before = raster_identity(outer)
    assert raster_identity(outer) == before


def test_a_mask_beside_a_raster_belongs_to_it(write_raster, tmp_path: Path) -> None:
    path = write_raster([[1, 2]])
    before = raster_identity(path)
    write_raster([[255, 0]], "raster.tif.msk")
    assert len(raster_identity(path)) == len(before) + 1


@pytest.mark.parametrize("name", ["gone.vrt", "deep.vrt"])
def test_a_source_that_moved_is_named(tmp_path: Path, name: str) -> None:
    write_vrt(tmp_path / "gone.vrt", "moved/a.tif")
    write_vrt(tmp_path / "deep.vrt", "gone.vrt")
    with pytest.raises(RasterError, match=r"source files of this virtual raster are missing.*moved/a\.tif"):
        describe_raster(tmp_path / name)


def test_an_address_is_what_its_server_tells_of_it(server, write_raster) -> None:
    path = write_raster(np.zeros((3, 40, 40)), "remote.tif")
    os.utime(path, (1e9, 1e9))
    url = f"http://127.0.0.1:{server.server_address[1]}/remote.tif"
    assert raster_identity(Path(url)) == [[url, None, "Sun, 09 Sep 2001 01:46:40 GMT", path.stat().st_size]]
    os.utime(path, (1.1e9, 1.1e9))
    assert "2004" in str(raster_identity(Path(url))[0][2])


@pytest.mark.parametrize("now", [[["a", 1, 7], ["b", 2, 9]], [["a", 1, 7]], [["a", 1, 7], ["c", 2, 8]]])
def test_the_first_file_that_is_no_longer_as_it_was_is_named(now):
    before = [["a", 1, 7], ["b", 2, 8]]
    assert first_changed_file(before, before) is None
    assert first_changed_file(before, now) == "b"


def test_a_file_that_was_added_is_named():
    assert first_changed_file([["a", 1, 7]], [["a", 1, 7], ["b", 2, 8]]) == "b"
