from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image

from geoseg.domain.legend import legend_from_names
from geoseg.domain.windows import Window, strips
from geoseg.errors import LegendError, OutputError, RasterError
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer, read_class_map
from geoseg.geodata.reading.rasters import describe_raster, open_raster


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of one megabyte; only root may mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_map_is_a_cog_on_the_grid_of_its_raster(write_raster, legend, out) -> None:
    ids = np.random.default_rng(0).integers(0, 3, (700, 900), np.uint8)
    info = describe_raster(write_raster(np.zeros((700, 900))))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        for strip in strips(700, 900, 256):
            writer.write(strip, ids[strip.row : strip.row + strip.height])
    with rasterio.open(out / "map.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert dataset.profile["blockxsize"] == 256
        assert dataset.overviews(1) == [2, 4]
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), 255)
        assert (dataset.crs.to_epsg(), tuple(dataset.transform)[:6]) == (32617, info.transform)
        assert np.array_equal(dataset.read(1), ids)
    assert names(out) == ["map.tif", "map.tif.aux.xml"]


def test_a_map_carries_the_colours_and_names_of_its_legend(write_raster, legend, out) -> None:
    info = describe_raster(write_raster([[0, 1]]))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(0, 0, 1, 2), np.array([[2, 0]], np.uint8))
    with rasterio.open(out / "map.tif") as dataset:
        colors = dataset.colormap(1)
        assert [colors[i] for i in range(3)] == [(*map(int, rgb), 255) for rgb in legend.rgb]
        assert colors[255] == (0, 0, 0, 0)
        assert json.loads(dataset.tags()["CLASS_NAMES"]) == {"0": "field", "1": "wood & heath", "2": "water"}
    ids, _, restored = read_class_map(out / "map.tif")
    assert ids.tolist() == [[2, 0]]
    assert restored == legend


def test_gdal_reads_the_class_names_and_the_attribute_table_from_the_sidecar(
    write_raster, legend, out
) -> None:
    info = describe_raster(write_raster([[0]]))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False):
        pass
    # rasterio has no call for category names; but GDAL writes what it has read into a VRT.
    rasterio.shutil.copy(out / "map.tif", out / "copy.vrt", driver="VRT")
    band = ET.parse(out / "copy.vrt").getroot().find("VRTRasterBand")
    assert band is not None
    assert [c.text for c in band.findall("CategoryNames/Category")] == ["field", "wood & heath", "water"]
    table = ET.parse(out / "map.tif.aux.xml").getroot().find("PAMRasterBand/GDALRasterAttributeTable")
    assert table is not None
    rows = [[f.text for f in row.findall("F")] for row in table.findall("Row")]
    assert rows[0] == ["0", "field", "232", "195", "90"]
    assert rows[1][:2] == ["1", "wood & heath"]


def test_what_is_never_written_is_nodata(write_raster, legend, out) -> None:
    info = describe_raster(write_raster(np.zeros((600, 600))))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(2, 3, 1, 1), np.zeros((1, 1), np.uint8))
    ids, _, _ = read_class_map(out / "map.tif")
    assert np.argwhere(ids != 255).tolist() == [[2, 3]]


def test_windows_may_stick_out_and_must_fit_their_values(write_raster, legend, out) -> None:
    info = describe_raster(write_raster(np.zeros((2, 2))))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(-1, 1, 2, 2), np.array([[0, 0], [1, 2]], np.uint8))
        writer.write(Window(9, 9, 1, 1), np.zeros((1, 1), np.uint8))
        with pytest.raises(ValueError, match="do not fit"):
            writer.write(Window(0, 0, 2, 2), np.zeros((1, 2), np.uint8))
    assert read_class_map(out / "map.tif")[0].tolist() == [[255, 1], [255, 255]]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (129, 40)])
def test_rasters_of_any_size_become_maps(write_raster, legend, out, size: tuple[int, int]) -> None:
    info = describe_raster(write_raster(np.zeros(size)))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(0, 0, *size), np.ones(size, np.uint8))
    assert (read_class_map(out / "map.tif")[0] == 1).all()


def test_overviews_hold_the_most_common_class(write_raster, legend, out) -> None:
    info = describe_raster(write_raster(np.zeros((512, 512))))
    ids = np.tile(np.array([[0, 2], [2, 2]], np.uint8), (256, 256))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(0, 0, 512, 512), ids)
    with rasterio.open(out / "map.tif", overview_level=0) as overview:
        assert (overview.read(1) == 2).all()


def test_a_raster_without_a_place_gives_a_map_without_one(tmp_path: Path, legend, out) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    info = describe_raster(tmp_path / "a.png")
    with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
        writer.write(Window(0, 0, 4, 5), np.zeros((4, 5), np.uint8))
    ids, written, _ = read_class_map(out / "map.tif")
    assert ids.shape == (4, 5)
    assert (written.crs, written.transform) == (None, info.transform)


def test_a_turned_raster_gives_a_turned_map(write_raster, legend, out) -> None:
    turned = Affine.translation(500000, 4000000) @ Affine.rotation(30) @ Affine.scale(1, -1)
    info = describe_raster(write_raster(np.zeros((4, 4)), transform=turned))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False):
        pass
    assert describe_raster(out / "map.tif").transform == pytest.approx(info.transform, abs=1e-9)


def test_a_map_made_on_a_resampled_grid_is_laid_back_and_keeps_the_nodata(write_raster, legend, out) -> None:
    mask = np.ones((4, 5), np.bool_)
    mask[1, 0] = False
    path = write_raster(np.zeros((4, 5)), mask=mask)
    with open_raster(path, resolution_m=2) as raster, open_raster(path) as whole:
        assert (raster.height, raster.width) == (2, 3)
        with class_map_writer(
            out / "map.tif", raster.info, legend, overwrite=False, like=whole.info, mask=whole
        ) as writer:
            writer.write(Window(0, 0, 2, 3), np.array([[0, 1, 2], [2, 1, 0]], np.uint8))
    ids, info, _ = read_class_map(out / "map.tif")
    assert ids.tolist() == [[0, 0, 1, 1, 2], [255, 0, 1, 1, 2], [2, 2, 1, 1, 0], [2, 2, 1, 1, 0]]
    assert info.transform == describe_raster(path).transform
    assert names(out) == ["map.tif", "map.tif.aux.xml"]


def test_a_map_made_on_a_finer_grid_is_laid_back_by_pixel_centres(write_raster, legend, out) -> None:
    path = write_raster([[0, 0]])
    with (
        open_raster(path, resolution_m=1 / 3) as raster,
        class_map_writer(
            out / "map.tif", raster.info, legend, overwrite=False, like=describe_raster(path)
        ) as writer,
    ):
        ids = np.full((3, 6), 2, np.uint8)
        ids[1, [1, 4]] = [0, 1]
        writer.write(Window(0, 0, 3, 6), ids)
    assert read_class_map(out / "map.tif")[0].tolist() == [[0, 1]]


def test_only_the_nodata_of_the_mask_counts_when_laid_back(write_raster, legend, out) -> None:
    path = write_raster([[[5, 5]], [[7, 5]]], nodata=7)
    for bands, expected in (([1], [[0, 0]]), ([2], [[255, 0]])):
        with (
            open_raster(path, bands=[1], resolution_m=2) as raster,
            open_raster(path, bands=bands) as mask,
            class_map_writer(
                out / "map.tif", raster.info, legend, overwrite=True, like=mask.info, mask=mask
            ) as writer,
        ):
            writer.write(Window(0, 0, 1, 1), np.zeros((1, 1), np.uint8))
        assert read_class_map(out / "map.tif")[0].tolist() == expected


def test_grids_turned_against_each_other_are_refused(write_raster, legend, out) -> None:
    like = describe_raster(write_raster([[0]]))
    turned = Affine.translation(500000, 4000000) @ Affine.rotation(30) @ Affine.scale(1, -1)
    info = describe_raster(write_raster([[0]], "turned.tif", transform=turned))
    with (
        pytest.raises(RasterError, match="turned"),
        class_map_writer(out / "map.tif", info, legend, overwrite=False, like=like),
    ):
        pass
    assert names(out) == []


def test_confidence_is_stored_in_steps_of_1_254_with_that_scale(write_raster, out) -> None:
    info = describe_raster(write_raster(np.zeros((1, 4))))
    with confidence_writer(out / "confidence.tif", info, overwrite=False) as writer:
        writer.write(Window(0, 0, 1, 4), np.array([[0, 127, 254, 255]], np.uint8))
    with rasterio.open(out / "confidence.tif") as dataset:
        assert dataset.read(1).tolist() == [[0, 127, 254, 255]]
        assert (dataset.scales, dataset.nodata) == ((1 / 254,), 255)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.descriptions == ("confidence",)
    assert names(out) == ["confidence.tif"]


def test_overviews_of_confidence_are_averages(write_raster, out) -> None:
    info = describe_raster(write_raster(np.zeros((512, 512))))
    values = np.tile(np.array([[0, 254], [254, 255]], np.uint8), (256, 256))
    with confidence_writer(out / "confidence.tif", info, overwrite=False) as writer:
        writer.write(Window(0, 0, 512, 512), values)
    with rasterio.open(out / "confidence.tif", overview_level=0) as overview:
        assert set(np.unique(overview.read(1))) == {169}  # (0 + 254 + 254) / 3


def test_an_existing_map_is_kept_without_overwrite(write_raster, legend, out) -> None:
    info = describe_raster(write_raster([[0]]))
    with class_map_writer(out / "map.tif", info, legend, overwrite=False):
        pass
    before = (out / "map.tif").read_bytes()
    with (
        pytest.raises(OutputError, match="--overwrite"),
        class_map_writer(out / "map.tif", info, legend, overwrite=False),
    ):
        pytest.fail("the work must not begin")
    assert (out / "map.tif").read_bytes() == before


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_a_failure_leaves_no_map_and_no_traces(write_raster, legend, out, fault: type[BaseException]) -> None:
    info = describe_raster(write_raster(np.zeros((10, 10))))

    def fail() -> None:
        with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
            writer.write(Window(0, 0, 10, 10), np.zeros((10, 10), np.uint8))
            raise fault

    with pytest.raises(fault):
        fail()
    assert names(out) == []


@pytest.mark.parametrize(
    ("side", "fill"), [(2000, 0), (900, 0), (600, 700_000), (400, 1_040_000), (64, 1_048_576)]
)
def test_a_full_disk_is_an_output_error_and_leaves_nothing(
    write_raster, legend, small_disk: Path, side: int, fill: int
) -> None:
    # From a disk that fills up while blocks are written to one that has no room for the finished file.
    info = describe_raster(write_raster(np.zeros((side, side))))
    many = legend_from_names([f"class {i}" for i in range(255)])
    (small_disk / "others").write_bytes(b"x" * fill)

    def write() -> None:
        noise = np.random.default_rng(0)
        with class_map_writer(small_disk / "map.tif", info, many, overwrite=False) as writer:
            for strip in strips(side, side, 100):
                writer.write(strip, noise.integers(0, 255, (strip.height, side), np.uint8))

    with pytest.raises(OutputError, match=r"map\.tif.*(disk is full|disk full, or closed)"):
        write()
    assert names(small_disk) == ["others"]


def test_a_map_past_the_size_limit_is_an_output_error_and_leaves_nothing(write_raster, legend, out) -> None:
    info = describe_raster(write_raster(np.zeros((700, 700))))
    noise = np.random.default_rng(0).integers(0, 3, (700, 700), np.uint8)

    def write() -> None:
        with class_map_writer(out / "map.tif", info, legend, overwrite=False) as writer:
            writer.write(Window(0, 0, 700, 700), noise)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OutputError, match=r"map\.tif.*disk"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(out) == []


def test_a_map_without_names_has_no_legend(write_raster) -> None:
    ids, info, legend = read_class_map(write_raster([[3, 255]]))
    assert (ids.tolist(), info.bands, legend) == ([[3, 255]], 1, None)


def test_a_value_that_the_legend_of_the_map_lacks_is_refused(write_raster) -> None:
    path = write_raster([[4]])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CLASS_NAMES='{"0": "field"}')
    with pytest.raises(LegendError, match="got 4"):
        read_class_map(path)


@pytest.mark.parametrize("tag", ["field", "[1]", '{"one": "field"}'])
def test_a_damaged_tag_of_names_is_refused(write_raster, tag: str) -> None:
    path = write_raster([[0]])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CLASS_NAMES=tag)
    with pytest.raises(LegendError, match="CLASS_NAMES"):
        read_class_map(path)
