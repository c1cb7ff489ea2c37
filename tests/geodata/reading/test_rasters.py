from __future__ import annotations

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image

from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.opening import ignore_missing_georeference
from geoseg.geodata.reading.rasters import Raster, describe_raster, open_raster


def read_all(path: Path, **options: object) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path, **options) as raster:
        return raster.read(Window(0, 0, raster.height, raster.width))


def test_a_raster_says_what_it_is(write_raster) -> None:
    path = write_raster(np.zeros((3, 4, 5)), dtype="uint16", nodata=9)
    info = describe_raster(path)
    assert (info.path, info.height, info.width, info.bands, info.dtype) == (path, 4, 5, 3, "uint16")
    assert (info.transform, info.resolution_m, info.nodata) == ((1, 0, 500000, 0, -1, 4000000), 1.0, 9)
    assert "UTM zone 17N" in str(info.crs)


def test_a_raster_is_a_pixel_source(write_raster) -> None:
    with open_raster(write_raster([[1, 2]])) as raster:
        source: PixelSource = raster
        assert isinstance(raster, Raster)
        assert (source.height, source.width, raster.bands) == (1, 2, 1)


def test_a_window_may_stick_out_and_what_is_outside_is_not_valid(write_raster) -> None:
    path = write_raster([[1, 2], [3, 4]])
    with open_raster(path) as raster:
        pixels, valid = raster.read(Window(-1, 1, 2, 3))
        assert pixels.tolist() == [[[0, 0, 0], [2, 0, 0]]]
        assert valid.tolist() == [[False] * 3, [True, False, False]]
        assert pixels.dtype == np.float32
        for far in (Window(-9, 0, 2, 2), Window(0, 50, 2, 2)):
            pixels, valid = raster.read(far)
            assert pixels.shape == (1, 2, 2)
            assert not pixels.any()
            assert not valid.any()


def test_chosen_bands_come_in_the_order_asked_for(write_raster) -> None:
    path = write_raster([[[1]], [[2]], [[3]]])
    assert read_all(path, bands=[3, 1])[0].ravel().tolist() == [3, 1]


def test_an_internal_mask_makes_pixels_invalid_and_zero(write_raster) -> None:
    pixels, valid = read_all(write_raster([[5, 6]], mask=[[True, False]]))
    assert (pixels.tolist(), valid.tolist()) == ([[[5, 0]]], [[True, False]])


def test_nodata_counts_beside_an_internal_mask(write_raster) -> None:
    path = write_raster([[5, 7, 6]], mask=[[False, True, True]], nodata=7)
    assert read_all(path)[1].tolist() == [[False, False, True]]


def test_nan_and_infinity_are_not_valid(write_raster) -> None:
    path = write_raster([[1.5, np.nan, np.inf, -2]], dtype="float32")
    pixels, valid = read_all(path)
    assert (pixels.tolist(), valid.tolist()) == ([[[1.5, 0, 0, -2]]], [[True, False, False, True]])


def test_numbers_too_large_for_float32_are_not_valid(write_raster) -> None:
    assert read_all(write_raster([[1e300, 1]], dtype="float64"))[1].tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("int16", -32768), ("float32", -99999), ("float32", -3.4028234663852886e38), ("float64", np.nan)],
)
def test_common_nodata_values_are_recognised(write_raster, dtype: str, nodata: float) -> None:
    path = write_raster([[nodata, 3]], dtype=dtype, nodata=nodata)
    assert read_all(path)[1].tolist() == [[False, True]]


def test_an_alpha_band_is_validity_and_no_data(write_raster) -> None:
    path = write_raster([[[5, 6]], [[255, 0]]], ALPHA="YES")
    pixels, valid = read_all(path)
    assert (pixels.tolist(), valid.tolist()) == ([[[5, 0]]], [[True, False]])
    assert describe_raster(path).bands == 1


def test_an_alpha_band_that_is_asked_for_is_data(write_raster) -> None:
    # What writes red, green, blue and near infrared in uint8 often calls the fourth band alpha.
    path = write_raster([[[1, 1]], [[2, 2]], [[3, 3]], [[9, 0]]], photometric="RGB", ALPHA="YES")
    assert describe_raster(path).bands == 3
    assert read_all(path)[1].tolist() == [[True, False]]
    pixels, valid = read_all(path, bands=[1, 2, 3, 4])
    assert pixels[3].tolist() == [[9, 0]]
    assert valid.all()


@pytest.mark.parametrize("name", ["palette.png", "palette.tif"])
def test_a_palette_is_read_as_colours(tmp_path: Path, name: str) -> None:
    picture = Image.new("P", (3, 1))
    picture.putdata([0, 1, 2])
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / name)
    pixels, valid = read_all(tmp_path / name)
    assert pixels[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert valid.all()
    assert describe_raster(tmp_path / name).bands == 3
    assert read_all(tmp_path / name, bands=[3])[0].tolist() == [[[30, 60, 90]]]


def test_transparent_colours_of_a_palette_are_not_valid(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 1))
    picture.putdata([0, 1, 2])
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "a.png", transparency=bytes([255, 0, 128]))
    assert read_all(tmp_path / "a.png")[1].tolist() == [[True, False, True]]


@pytest.mark.parametrize(("mode", "color", "bands"), [("LA", (9, 0), 1), ("RGBA", (9, 8, 7, 0), 3)])
def test_the_alpha_of_a_png_is_validity(
    tmp_path: Path, mode: str, color: tuple[int, ...], bands: int
) -> None:
    picture = Image.new(mode, (2, 1), color)
    picture.putpixel((0, 0), (*color[:-1], 255))
    picture.save(tmp_path / "a.png")
    pixels, valid = read_all(tmp_path / "a.png")
    assert pixels[:, 0, 0].tolist() == list(color[:-1])
    assert valid.tolist() == [[True, False]]
    assert describe_raster(tmp_path / "a.png").bands == bands


# Where the sky (brightest quarter, stored top left) is to be seen for each orientation.
SKY = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left"}
SKY |= {5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left"}


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = np.full((16, 48, 3), 40, np.uint8)
    stored[:8, :24] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    info = describe_raster(path)
    assert (info.height, info.width) == ((16, 48) if orientation < 5 else (48, 16))
    pixels, valid = read_all(path)
    row, col = np.argwhere(pixels[0] > 150).mean(axis=0)
    place = f"{'top' if row < info.height / 2 else 'bottom'} {'left' if col < info.width / 2 else 'right'}"
    assert place == SKY[orientation]
    assert valid.all()


def test_upright_is_what_pillow_calls_upright(tmp_path: Path) -> None:
    from PIL import ImageOps

    stored = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
        with Image.open(tmp_path / "a.png") as picture:
            expected = np.asarray(ImageOps.exif_transpose(picture))
        assert np.array_equal(np.moveaxis(read_all(tmp_path / "a.png")[0], 0, -1), expected)


def test_a_picture_with_a_world_file_stays_as_it_is_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 16)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.jgw").write_text("2\n0\n0\n-2\n500001\n3999999\n")
    info = describe_raster(tmp_path / "a.jpg")
    assert (info.height, info.width) == (16, 48)
    assert info.transform == (2, 0, 500000, 0, -2, 4000000)


def test_a_palette_is_turned_upright_too(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putdata([0, 1])
    picture.putpalette([10, 20, 30, 40, 50, 60])
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.save(tmp_path / "a.png", exif=exif)
    assert read_all(tmp_path / "a.png")[0][0].tolist() == [[40, 10]]


def test_a_resampled_raster_has_the_grid_and_the_means_asked_for(write_raster) -> None:
    path = write_raster([[1, 3, 9], [5, 7, 11]], mask=[[False, True, True], [True, True, True]])
    with open_raster(path, resolution_m=2) as raster:
        assert (raster.height, raster.width) == (1, 2)
        assert raster.info.transform == (2, 0, 500000, 0, -2, 4000000)
        assert raster.info.resolution_m == 2
        pixels, valid = raster.read(Window(0, 0, 1, 2))
    assert pixels.tolist() == [[[5, 10]]]
    assert valid.all()


def test_resampling_to_the_same_resolution_changes_nothing(write_raster) -> None:
    path = write_raster([[1, 3]])
    with open_raster(path, resolution_m=1.0) as raster:
        assert raster.info == describe_raster(path)


def test_a_palette_is_resampled_by_its_colours(tmp_path: Path, write_raster) -> None:
    colors = {0: (0, 0, 0, 255), 1: (100, 0, 0, 255), 2: (0, 0, 200, 255)}
    path = write_raster([[1, 2]], palette=colors, photometric="PALETTE")
    pixels, _ = read_all(path, resolution_m=2)
    assert pixels[:, 0, 0].tolist() == [50, 0, 100]


def test_a_turned_raster_is_resampled_along_its_own_sides(write_raster) -> None:
    turned = Affine.translation(500000, 4000000) @ Affine.rotation(30) @ Affine.scale(1, -1)
    path = write_raster([[1, 3], [5, 7]], transform=turned)
    with open_raster(path, resolution_m=2) as raster:
        assert raster.read(Window(0, 0, 1, 1))[0].tolist() == [[[4]]]
        assert raster.info.transform[0] == pytest.approx(2 * np.cos(np.pi / 6))


def test_a_raster_without_crs_is_not_resampled(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(RasterError, match="coordinate reference system"):
        open_raster(tmp_path / "a.png", resolution_m=1)


def test_big_endian_rows_and_a_vrt_read_like_any_other(tmp_path: Path, write_raster) -> None:
    path = write_raster([[1, 513]], dtype="uint16", ENDIANNESS="BIG")
    assert read_all(path)[0].tolist() == [[[1, 513]]]
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    assert read_all(tmp_path / "a.vrt")[0].tolist() == [[[1, 513]]]


def test_threads_may_share_a_raster(write_raster) -> None:
    values = np.arange(128 * 128).reshape(128, 128) % 251
    windows = [Window(row, col, 16, 16) for row in range(0, 128, 16) for col in range(0, 128, 16)]
    path = write_raster(values, tiled=True, blockxsize=16, blockysize=16)
    with open_raster(path) as raster, ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(raster.read, windows * 4))
    for window, (pixels, _) in zip(windows * 4, parts, strict=True):
        box = np.s_[window.row : window.row + 16, window.col : window.col + 16]
        assert np.array_equal(pixels[0], values[box])


def test_a_raster_is_closed_when_what_is_being_read_of_it_has_been_read(write_raster) -> None:
    with open_raster(write_raster(np.ones((1, 4, 4), np.uint8))) as raster:
        entered, ended = threading.Event(), list[str]()
        inner = raster._pixels

        class Slow:
            def read(self, window):
                entered.set()
                time.sleep(0.2)
                found = inner.read(window)
                ended.append("read")
                return found

        raster._pixels = Slow()
        reader = threading.Thread(target=raster.read, args=(Window(0, 0, 2, 2),))
        reader.start()
        entered.wait()
    ended.append("closed")
    reader.join()
    assert ended == ["read", "closed"]
    with pytest.raises(RasterError):
        raster.read(Window(0, 0, 2, 2))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"nothing\.tif: no such file"):
        describe_raster(tmp_path / "nothing.tif")
    with pytest.raises(RasterError, match="this is a folder"):
        open_raster(tmp_path)


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("not pixels")
    with pytest.raises(RasterError, match=r"a\.tif: this file is not a readable image.*GeoTIFF"):
        describe_raster(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["tif", "jpg", "png"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    read_all(path)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        RasterError, match=rf"a\.{suffix}: (the file is damaged|this file is not a readable image)"
    ):
        read_all(path)


def test_pixels_lost_behind_a_whole_header_are_an_error(write_raster) -> None:
    path = write_raster(np.random.default_rng(0).integers(0, 255, (300, 300)), compress="deflate")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(RasterError, match=r"damaged or truncated.*again"):
        read_all(path)


@pytest.mark.parametrize("bands", [[4], [0], [-1], [1, 7]])
def test_a_band_that_does_not_exist_is_refused(write_raster, bands: list[int]) -> None:
    path = write_raster(np.zeros((3, 2, 2)))
    with pytest.raises(RasterError, match="expected bands 1 to 3"):
        open_raster(path, bands=bands)


def test_no_bands_at_all_are_refused(write_raster) -> None:
    with pytest.raises(RasterError, match="no band is requested"):
        open_raster(write_raster([[1]]), bands=[])


def test_complex_numbers_are_refused(write_raster) -> None:
    path = write_raster([[1 + 1j]], dtype="complex64")
    with pytest.raises(RasterError, match="complex"):
        describe_raster(path)


def test_a_container_without_bands_is_refused(tmp_path: Path) -> None:
    # A GeoPackage of two rasters, like a NetCDF file of several variables, has no bands itself.
    for table, append in (("one", "NO"), ("two", "YES")):
        profile = {
            "driver": "GPKG",
            "width": 4,
            "height": 4,
            "count": 1,
            "dtype": "uint8",
            "crs": "EPSG:3857",
        }
        place = Affine(1, 0, 10, 0, -1, 10)
        with rasterio.open(
            tmp_path / "a.gpkg", "w", RASTER_TABLE=table, APPEND_SUBDATASET=append, transform=place, **profile
        ) as dataset:
            dataset.write(np.ones((1, 4, 4), np.uint8))
    with pytest.raises(RasterError, match=r"no bands.*container of 2 rasters"):
        describe_raster(tmp_path / "a.gpkg")


def test_a_transform_that_squeezes_pixels_to_nothing_is_refused(write_raster) -> None:
    with pytest.raises(RasterError, match="geotransform is not invertible"):
        describe_raster(write_raster([[1]], transform=Affine(0, 0, 5, 0, 0, 5)))


def test_plain_pictures_bring_no_warning_and_other_warnings_stay(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    read_all(tmp_path / "a.png")
    with ignore_missing_georeference(), pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)
