"""Fetching LandCover.ai as a person does: from a real server, broken off, gone on with, on a disk that fills up."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import numpy as np
import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError, OutputError
from geoseg.geodata.datasets.folders import open_dataset
from geoseg.geodata.datasets.landcover_ai import PUBLISHED, SHA256, Published
from geoseg.settings import LandCoverSettings
from geoseg.workflows.download import fetch

DATASET, OUTPUT = 6, 8
SHEETS = {"M-33-20-D-c-4-2": 0.25, "M-34-51-C-b-2-1": 0.25, "N-34-77-A-b-1-4": 0.5}
LISTS = {
    "train": ["M-33-20-D-c-4-2_0", "M-33-20-D-c-4-2_1", "M-34-51-C-b-2-1_0"],
    "val": ["M-34-51-C-b-2-1_1"],
    "test": ["N-34-77-A-b-1-4_0", "N-34-77-A-b-1-4_1"],
}


@pytest.fixture(scope="module")
def published(tmp_path_factory, write_tiff):
    """An archive laid out as the published one: three orthophotos of 600 x 1100 px, lists of tiles."""
    folder = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(0)
    mask = np.repeat(np.array([0, 1, 2, 3, 4], np.uint8), [330, 60, 120, 60, 30])[:, None] * np.ones(
        (1, 1100), np.uint8
    )
    for place, (name, pixel_m) in enumerate(SHEETS.items()):
        options = {"crs": "EPSG:2180", "index": place, "pixel_m": pixel_m}
        pixels = rng.integers(1, 255, (3, 600, 1100), dtype=np.uint8)
        write_tiff(folder / "in" / "images" / f"{name}.tif", pixels, **options)
        write_tiff(folder / "in" / "masks" / f"{name}.tif", mask, **options)
    for split, tiles in LISTS.items():
        (folder / "in" / f"{split}.txt").write_text("\n".join(tiles) + "\n")
    (folder / "in" / "split.py").write_text("raise SystemExit('nothing of an archive is run')\n")
    content = Path(shutil.make_archive(str(folder / "a"), "zip", folder / "in")).read_bytes()
    contents = Published(
        hashlib.sha256(content).hexdigest(), {0.25: 2, 0.5: 1}, {"train": 3, "val": 1, "test": 2}, 0.2475
    )
    return content, contents


@pytest.fixture
def server(published):
    """A server of the archive; ``break_at`` closes the line early, ``asked`` are the ranges that came in."""

    class Handler(BaseHTTPRequestHandler):
        content, break_at, asked = published[0], None, []

        def do_GET(self):
            wish = self.headers.get("Range")
            self.asked.append(wish)
            first = int(wish.removeprefix("bytes=").removesuffix("-")) if wish else 0
            self.send_response(206 if wish else 200)
            self.send_header("Content-Length", str(len(self.content) - first))
            self.end_headers()
            self.wfile.write(self.content[first : self.break_at])

        def log_message(self, *_):
            pass

    Handler.asked = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    Handler.url = f"http://127.0.0.1:{running.server_port}/download/landcover.ai.v1.zip"
    yield Handler
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def take(server, published, tmp_path):
    """Fetch as the command does, with the checksum and the contents of this archive."""

    def run(contents=published[1], progress=None):
        settings = LandCoverSettings(output=tmp_path / "data", url=server.url)
        return fetch(settings, contents, progress or NullProgress())

    return run


def _there(folder):
    return sorted(path.name for path in folder.iterdir())


class StopsWhile(NullProgress):
    """A watcher who presses Ctrl-C in the middle of a step."""

    def __init__(self, step):
        self.step, self.now = step, ""

    def start(self, what, total):
        self.now = what

    def advance(self, steps=1, note=""):
        if self.now.startswith(self.step) and steps:
            raise KeyboardInterrupt


def test_a_dataset_comes_from_its_server_checked_measured_and_split(take, tmp_path):
    report = take()

    assert report.images == 3
    assert report.area_km2 == pytest.approx(600 * 1100 * (2 * 0.25**2 + 0.5**2) / 1e6)
    assert report.shares == pytest.approx(
        {"background": 0.55, "building": 0.1, "woodland": 0.2, "water": 0.1, "road": 0.05}
    )
    assert _there(tmp_path) == ["data", "landcover.ai.v1.zip"]
    assert open_dataset(tmp_path / "data", split="train", masks_needed=True).tiles == {
        "M-33-20-D-c-4-2": [0, 1],
        "M-34-51-C-b-2-1": [0],
    }
    whole = [
        open_dataset(tmp_path / "data", split=f"orthophoto-{s}").images for s in ("train", "val", "test")
    ]
    assert sorted(name for images in whole for name in images) == sorted(SHEETS)


def test_the_command_names_where_a_download_broke_off_and_the_next_one_goes_on(
    geoseg, server, take, tmp_path
):
    server.break_at = 1_500_000
    outcome = geoseg("data", "landcover-ai", tmp_path / "data", "--url", server.url)

    assert outcome.code == DATASET
    assert f"{server.url}: the download broke off" in outcome.err
    assert "Run the same command again: it goes on where it stopped." in outcome.err
    assert _there(tmp_path) == ["landcover.ai.v1.zip.part"]

    server.break_at = None
    assert take().images == 3
    assert server.asked == [None, "bytes=1500000-"]
    assert _there(tmp_path) == ["data", "landcover.ai.v1.zip"]


def test_a_download_stopped_by_hand_goes_on_where_it_stopped(server, take, published):
    with pytest.raises(KeyboardInterrupt):
        take(progress=StopsWhile("Downloading"))

    assert take().images == 3
    first, second = server.asked
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) < len(published[0])


def test_unpacking_stopped_by_hand_leaves_no_half_and_fetches_nothing_twice(server, take, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        take(progress=StopsWhile("Unpacking"))
    assert _there(tmp_path) == ["landcover.ai.v1.zip"]

    assert take().images == 3
    assert len(server.asked) == 1


def test_what_a_killed_command_left_of_unpacking_is_cleared(take, tmp_path):
    (tmp_path / ".data.partial" / "images").mkdir(parents=True)
    (tmp_path / ".data.partial" / "images" / "half.tif").touch()

    assert take().images == 3
    assert _there(tmp_path) == ["data", "landcover.ai.v1.zip"]
    assert len(_there(tmp_path / "data" / "images")) == 3


def test_checking_stopped_by_hand_goes_on_from_what_is_unpacked(server, take, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        take(progress=StopsWhile("Counting"))
    assert not (tmp_path / "data" / "legend.json").exists()

    assert take().images == 3
    assert (tmp_path / "data" / "legend.json").exists()
    assert len(server.asked) == 1


def test_the_command_takes_no_other_archive_for_the_published_one(geoseg, server, published, tmp_path):
    outcome = geoseg("data", "landcover-ai", tmp_path / "data", "--url", server.url)

    assert outcome.code == DATASET
    assert f"the wrong checksum; expected SHA-256 {SHA256}; got {published[1].sha256}" in outcome.err
    assert _there(tmp_path) == []


def test_a_full_disk_keeps_what_came_of_the_download(geoseg, server, take, tmp_path, full_disk):
    with full_disk(1_200_000):
        outcome = geoseg("data", "landcover-ai", tmp_path / "data", "--url", server.url)
    assert outcome.code == OUTPUT
    assert "landcover.ai.v1.zip.part: the download cannot be written; got File too large" in outcome.err
    assert _there(tmp_path) == ["landcover.ai.v1.zip.part"]
    came = (tmp_path / "landcover.ai.v1.zip.part").stat().st_size

    assert take().images == 3
    assert server.asked == [None, f"bytes={came}-"]


def test_a_full_disk_while_unpacking_keeps_the_archive(server, take, tmp_path, full_disk):
    with pytest.raises(KeyboardInterrupt):
        take(progress=StopsWhile("Unpacking"))
    with full_disk(1_200_000), pytest.raises(OutputError, match=r"data: the archive cannot be unpacked"):
        take()
    assert _there(tmp_path) == ["landcover.ai.v1.zip"]

    assert take().images == 3
    assert len(server.asked) == 1


def test_an_archive_that_reaches_outside_is_not_unpacked(server, take, published, tmp_path):
    path = tmp_path / "evil.zip"
    path.write_bytes(published[0])
    with ZipFile(path, "a") as opened:
        opened.writestr("images/../../evil.tif", b"x")
    server.content = path.read_bytes()
    path.unlink()
    evil = replace(published[1], sha256=hashlib.sha256(server.content).hexdigest())

    with pytest.raises(DatasetError, match=r"has paths outside its folder; nothing was unpacked.*evil\.tif"):
        take(evil)
    assert _there(tmp_path) == ["landcover.ai.v1.zip"]


@pytest.fixture
def small_area(monkeypatch):
    """Let 33 orthophotos of 16 m side and 8 of 32 m have the published area."""
    area = (33 * 16**2 + 8 * 32**2) / 1e6
    monkeypatch.setattr("geoseg.workflows.download.PUBLISHED", replace(PUBLISHED, area_km2=area))


@pytest.fixture
def unpacked(tmp_path, write_tiff):
    """A folder with as many orthophotos and tiles as the published one has, of 64 x 64 px each."""
    mask = np.repeat(np.array([0, 1, 2, 4], np.uint8), [32, 8, 16, 8])[:, None] * np.ones((1, 64), np.uint8)
    for number in range(41):
        options = {"crs": "EPSG:2180", "index": number, "pixel_m": 0.25 if number < 33 else 0.5}
        write_tiff(tmp_path / "data/images" / f"M-{number}.tif", np.ones((3, 64, 64), np.uint8), **options)
        write_tiff(tmp_path / "data/masks" / f"M-{number}.tif", mask, **options)
    for split, count in (("train", 7470), ("val", 1602), ("test", 1602)):
        (tmp_path / "data" / f"{split}.txt").write_text("".join(f"M-0_{n}\n" for n in range(count)))
    return tmp_path / "data"


def test_the_command_prints_class_shares_area_and_licence(geoseg, unpacked, small_area):
    outcome = geoseg("data", "landcover-ai", unpacked, "-q")

    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    for name, share in (("background", "50.00"), ("building", "12.50"), ("woodland", "25.00")):
        assert [name, share] in lines
    assert ["water", "0.00"] in lines
    assert ["road", "12.50"] in lines
    # 33 of 16 m and 8 of 32 m side.
    assert f"41 orthophotos, 0.02 km2 in {unpacked}." in outcome.out
    assert "licensed under CC BY-NC-SA 4.0: name its authors, no commercial use, share alike." in outcome.out
    assert "--train-split orthophoto-train --test-split orthophoto-test" in outcome.out


def test_the_command_gives_its_report_as_json(geoseg, unpacked, small_area):
    report = json.loads(geoseg("data", "landcover-ai", unpacked, "--json", "-q").out)

    assert report["folder"] == str(unpacked)
    assert report["images"] == 41
    assert report["area_km2"] == pytest.approx((33 * 16**2 + 8 * 32**2) / 1e6)
    assert report["shares"]["woodland"] == 0.25
    assert "CC BY-NC-SA 4.0" in report["licence"]
    assert len((unpacked / "orthophoto-train.txt").read_text().split()) == 29


def test_the_command_refuses_a_folder_that_is_not_as_published(geoseg, unpacked):
    (unpacked / "val.txt").write_text("M-0_0\n")

    outcome = geoseg("data", "landcover-ai", unpacked)

    assert outcome.code == DATASET
    assert (
        "val.txt: the folder differs from the published LandCover.ai v1; expected 1602 tiles; got 1 tiles"
        in outcome.err
    )
    assert not (unpacked / "legend.json").exists()


def test_the_command_refuses_a_folder_of_another_area(geoseg, unpacked):
    outcome = geoseg("data", "landcover-ai", unpacked)

    assert outcome.code == DATASET
    assert f"{unpacked / 'images'}: the folder differs from the published LandCover.ai v1" in outcome.err
    assert "expected 216.27 km2, give or take 1%; got 0.01664 km2" in outcome.err
    assert not (unpacked / "legend.json").exists()
