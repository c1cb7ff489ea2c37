"""Images of strangers are taken or refused by their headers, and reading them never ends otherwise."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from tests.hostile_images.corpus import hostile_images

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.image_checks import ImageHeader, ImageTooLargeError, check_image, sniff
from geoseg.geodata.reading.opening import ignore_missing_georeference
from geoseg.geodata.reading.rasters import describe_raster, local_files, open_raster

ROOT = Path(__file__).parents[3]
LIMITS = {"max_pixels": 4096 * 4096, "max_bands": 16}
MOST_BYTES = 4 * 2**30
MOST_SECONDS = 10
BATCH = 50


def read_corner(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Do with an image what a service does: check, describe, open, read."""
    check_image(path, **LIMITS)
    describe_raster(path)
    local_files(path)
    with open_raster(path) as raster:
        return raster.read(Window(0, 0, 64, 64))


def read_all_hostile_images(folder: Path) -> None:
    """Print what becomes of each hostile image as a line of JSON; run in a process of its own.

    The process is killed where an image takes too long or crashes it: its name stands last.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    good = folder / "good.tif"
    good.write_bytes(next(data for name, data, _ in hostile_images() if name == "fair: tif"))
    for number, (name, data, _) in enumerate(hostile_images()):
        path = folder / f"image.{sniff(data) or 'tif'}"
        path.write_bytes(data)
        say(name)
        began = time.monotonic()
        signal.alarm(MOST_SECONDS)
        outcome = outcome_of(path)
        signal.alarm(0)
        say([name, outcome, time.monotonic() - began])
        path.unlink()
        if number % BATCH == 0:
            assert read_corner(good)[0].sum() == sum(range(256))
    say("end")


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def outcome_of(path: Path) -> str:
    try:
        read_corner(path)
    except RasterError as error:
        return type(error).__name__ if str(path.parent) not in error.what else f"told its path: {error.what}"
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is what the test is about
        return f"raised {error!r}"
    return "taken"


@pytest.fixture(scope="module")
def ends() -> dict[str, str]:
    """What became of every hostile image, by name; read one after another in one process of little memory."""
    code = "from tests.geodata.reading.test_image_checks import *; read_all_hostile_images(Path(sys.argv[1]))"
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"it ended at {lines[-1]}: {run.stderr[-2000:]}"
    assert lines[-1] == "end"
    return {line[0]: line[1] for line in lines if isinstance(line, list)}


@pytest.fixture(scope="module")
def cases() -> list[tuple[str, bytes, bool]]:
    """Every hostile image: name, content, and whether it may be taken."""
    return list(hostile_images())


@pytest.mark.slow
def test_the_corpus_is_large_and_always_the_same(cases: list[tuple[str, bytes, bool]]) -> None:
    assert len(cases) >= 300
    assert len({name for name, _, _ in cases}) == len(cases)
    assert cases == list(hostile_images())


@pytest.mark.slow
def test_every_hostile_image_is_taken_or_refused_in_bounded_time_and_memory(ends: dict[str, str]) -> None:
    known = {"taken", "RasterError", "ForeignImageError", "ImageTooLargeError"}
    assert {name: end for name, end in ends.items() if end not in known} == {}
    assert len(ends) >= 300


@pytest.mark.slow
def test_what_is_no_image_or_too_much_of_one_is_refused(
    ends: dict[str, str], cases: list[tuple[str, bytes, bool]]
) -> None:
    assert [name for name, _, may_be_taken in cases if not may_be_taken and ends[name] == "taken"] == []


@pytest.mark.slow
def test_strange_but_fair_images_are_taken(ends: dict[str, str]) -> None:
    fair = {name: end for name, end in ends.items() if name.startswith("fair: ")}
    assert len(fair) > 10
    assert set(fair.values()) == {"taken"}


@pytest.mark.slow
def test_other_formats_in_disguise_are_foreign(ends: dict[str, str]) -> None:
    disguised = {name: end for name, end in ends.items() if name.startswith("disguise: ")}
    assert len(disguised) > 30
    assert set(disguised.values()) == {"ForeignImageError"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tif of 60000 x 60000 in 1 KB", "png of 60000 x 60000 in 1 KB", "jpg of 65,000 x 65,000"]
)
def test_bombs_are_too_large(ends: dict[str, str], name: str) -> None:
    assert ends[name] == "ImageTooLargeError"


def test_the_header_is_told(write_raster, tmp_path: Path) -> None:
    path = write_raster(np.zeros((4, 3, 5)), dtype="uint16")
    header = check_image(path, **LIMITS)
    assert (header.kind, header.height, header.width, header.bands, header.dtype) == (
        "tif",
        3,
        5,
        4,
        "uint16",
    )
    assert header.has_crs
    assert "UTM zone 17N" in str(header.crs)
    Image.new("RGBA", (7, 2)).save(tmp_path / "a.png")
    assert check_image(tmp_path / "a.png", **LIMITS) == ImageHeader("png", 2, 7, 4, "uint8", None, False)
    Image.new("L", (7, 2)).save(tmp_path / "a.jpg")
    assert check_image(tmp_path / "a.jpg", **LIMITS) == ImageHeader("jpg", 2, 7, 1, "uint8", None, False)


def test_a_transform_without_crs_is_a_georeference(write_raster) -> None:
    header = check_image(write_raster([[1]], crs=None), **LIMITS)
    assert (header.has_crs, header.is_georeferenced) == (False, True)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"II*\0\x08\0\0\0", "tif"),
        (b"MM\0*\0\0\0\x08", "tif"),
        (b"II+\0\x08\0\0\0", "tif"),
        (b"MM\0+\0\x08\0\0", "tif"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpg"),
        (b"", None),
        (b"I", None),
        (b"II+\0", None),
        (b"\x89PNG\n\x1a\n", None),
        (b"<VRTDataset", None),
        (b"GIF89a", None),
        (b"RIFF\0\0\0\0WEBP", None),
    ],
)
def test_the_first_bytes_tell_the_kind(start: bytes, kind: str | None) -> None:
    assert sniff(start) == kind


def test_limits_are_kept_to_the_pixel_and_the_band(write_raster) -> None:
    path = write_raster(np.zeros((3, 10, 10)))
    check_image(path, max_pixels=100, max_bands=3)
    with pytest.raises(ImageTooLargeError, match="more than 99 pixels"):
        check_image(path, max_pixels=99, max_bands=3)
    with pytest.raises(ImageTooLargeError, match="more than 2 bands"):
        check_image(path, max_pixels=100, max_bands=2)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="cannot be read"):
        check_image(tmp_path / "a.tif", **LIMITS)


def test_a_jpeg_whose_comment_is_a_vrt_is_read_as_jpeg(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("L", (16, 16), 99).save(secret)
    Image.new("RGB", (16, 16), (7, 7, 7)).save(tmp_path / "plain.jpg")
    plain = (tmp_path / "plain.jpg").read_bytes()
    vrt = (
        '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{secret}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    comment = vrt.encode().ljust(0x0301 - 2)
    path = tmp_path / "image.jpg"
    path.write_bytes(plain[:2] + b"\xff\xfe\x03\x01" + comment + plain[2:])
    assert check_image(path, **LIMITS).bands == 3
    assert local_files(path) == [path]
    assert set(read_corner(path)[0].ravel().tolist()) == {7.0, 0.0}


def test_a_tiff_that_names_another_file_as_its_overview_is_refused(write_raster, tmp_path: Path) -> None:
    path = write_raster(np.zeros((64, 64)))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "secret.tif"))
    with pytest.raises(RasterError, match="refers to other files"):
        check_image(path, **LIMITS)


def test_a_tiff_with_overviews_of_its_own_is_taken(write_raster) -> None:
    path = write_raster(np.zeros((64, 64)), mask=np.ones((64, 64)))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.nearest)
    assert check_image(path, **LIMITS).width == 64


def test_files_beside_an_image_are_not_heeded(write_raster, tmp_path: Path) -> None:
    path = write_raster([[1, 2]], crs=None, transform=None)
    path.with_suffix(".tfw").write_text("2\n0\n0\n-2\n500001\n3999999\n")
    Path(f"{path}.aux.xml").write_text("<PAMDataset><SRS>EPSG:32617</SRS></PAMDataset>")
    header = check_image(path, **LIMITS)
    assert (header.has_crs, header.is_georeferenced) == (False, False)


def test_nothing_is_written_beside_an_image(write_raster) -> None:
    path = write_raster(np.zeros((64, 64)))
    read_corner(path)
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_not_valid(write_raster, value: float) -> None:
    pixels, valid = read_corner(write_raster(np.full((3, 8, 8), value), dtype="float32"))
    assert not pixels.any()
    assert not valid.any()


def test_an_image_of_nodata_alone_has_no_valid_pixel(write_raster) -> None:
    pixels, valid = read_corner(write_raster(np.full((3, 8, 8), 7), nodata=7))
    assert not pixels.any()
    assert not valid.any()


def test_a_vast_picture_is_not_turned_in_memory(tmp_path: Path) -> None:
    path, profile = tmp_path / "image.tif", {"width": 50_000, "height": 50_000, "count": 1, "dtype": "uint8"}
    with (
        ignore_missing_georeference(),
        rasterio.open(path, "w", driver="GTiff", SPARSE_OK="TRUE", **profile) as dataset,
    ):
        dataset.update_tags(EXIF_Orientation="6")
    check_image(path, max_pixels=4_000_000_000, max_bands=16)
    with pytest.raises(RasterError, match="too large to be rotated"):
        describe_raster(path)


def test_png_pixels_that_end_early_are_refused_and_not_made_up(tmp_path: Path) -> None:
    data = next(data for name, data, _ in hostile_images() if name == "png of pixels that end early")
    (tmp_path / "image.png").write_bytes(data)
    with pytest.raises(RasterError, match="damaged or truncated"):
        read_corner(tmp_path / "image.png")


def test_a_jpeg_with_damaged_exif_data_is_read_as_it_is_stored(tmp_path: Path) -> None:
    data = next(data for name, data, _ in hostile_images() if name == "jpg with EXIF of noise")
    (tmp_path / "image.jpg").write_bytes(data)
    assert read_corner(tmp_path / "image.jpg")[1][:32, :48].all()
