"""A PNG whose pixels end early is refused, without any option of GDAL set for the process."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path

import pytest
from tests.hostile_images.pngs import png

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.rasters import open_raster

VRT = """<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="1">early.png</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.fixture
def early(tmp_path: Path) -> Path:
    """A grey PNG of 16 x 16 px with the pixels of five rows."""
    path = tmp_path / "early.png"
    path.write_bytes(png(pixels=zlib.compress(bytes(5 * 17))))
    return path


def read_whole(path: Path) -> None:
    with open_raster(path) as raster:
        raster.read(Window(0, 0, 16, 16))


def test_pixels_that_end_early_are_refused(early):
    with pytest.raises(RasterError, match="damaged or truncated"):
        read_whole(early)


def test_pixels_that_end_early_are_refused_in_a_vrt(early):
    vrt = early.with_suffix(".vrt")
    vrt.write_text(VRT)
    with pytest.raises(RasterError, match="damaged or truncated"):
        read_whole(vrt)


def test_pixels_that_end_early_are_refused_in_a_thread(early):
    faults = []

    def read():
        try:
            read_whole(early)
        except RasterError as error:
            faults.append(error.what)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert faults == ["the file is damaged or truncated in rows 0 to 15, columns 0 to 15"]
