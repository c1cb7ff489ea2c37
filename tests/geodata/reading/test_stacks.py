"""Bands in separate files are read as those of one raster: one grid, each with its own type and nodata value."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.domain.raster_stacks import stack_path
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.identity import first_changed_file, raster_identity
from geoseg.geodata.reading.rasters import describe_raster, local_files, open_raster
from geoseg.geodata.reading.validity import Validity

UTM_METRES = Affine(1, 0, 500000, 0, -1, 4000000)


def read(path: Path, window: Window | None = None, **options: object) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path, **options) as raster:
        return raster.read(window or Window(0, 0, raster.height, raster.width))


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "bands.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bands_are_those_of_the_files_in_their_order(write_raster) -> None:
    red = write_raster([[1, 2]], "red.tif")
    rest = write_raster([[[3, 4]], [[5, 6]]], "rest.tif", dtype="int16")
    path = stack_path([rest, red])
    info = describe_raster(path)
    assert (info.bands, info.height, info.width, info.dtype) == (3, 1, 2, "int16")
    assert read(path)[0].tolist() == [[[3, 4]], [[5, 6]], [[1, 2]]]
    assert read(path, bands=[3, 1])[0].tolist() == [[[1, 2]], [[3, 4]]]
    with pytest.raises(RasterError, match=r"no such band; expected bands 1 to 3; got 4"):
        open_raster(path, bands=[4])


def test_a_text_file_lists_the_files_relative_to_itself(write_raster, tmp_path: Path) -> None:
    write_raster([[1, 2]], "red.tif")
    write_raster([[3, 4]], "nir.tif")
    path = write_list(tmp_path, "# bands", "red.tif", "", f"{tmp_path}/nir.tif")
    assert read(path)[0].tolist() == [[[1, 2]], [[3, 4]]]
    assert describe_raster(path).notes == ("2 bands of 2 files are stacked on the grid of red.tif.",)


def test_a_text_file_of_numbers_is_a_raster_of_gdal(tmp_path: Path) -> None:
    path = tmp_path / "grid.txt"
    path.write_text("ncols 2\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n7 8\n")
    assert read(path)[0].tolist() == [[[7, 8]]]


def test_a_missing_file_is_named(write_raster, tmp_path: Path) -> None:
    write_raster([[1, 2]], "red.tif")
    with pytest.raises(RasterError, match=r"nir\.tif: no such file"):
        describe_raster(write_list(tmp_path, "red.tif", "nir.tif"))


def test_each_file_keeps_its_own_nodata_value_and_type(write_raster) -> None:
    first = write_raster([[-99999, 1.5, 2.5]], "a.tif", dtype="float32", nodata=-99999)
    second = write_raster([[-32768, -32768, 7]], "b.tif", dtype="int16", nodata=-32768)
    path = stack_path([first, second])
    values, valid = read(path)
    # A pixel is invalid only if no band has a value; a missing band of a valid pixel is NaN.
    assert valid.tolist() == [[False, True, True]]
    assert values[:, 0, 1:].tolist()[0] == [1.5, 2.5]
    assert np.isnan(values[1, 0, 1])
    assert values[1, 0, 2] == 7
    assert read(path, validity=Validity(is_strict=True))[1].tolist() == [[False, False, True]]


def test_a_mask_and_an_alpha_band_hold_for_the_bands_of_their_file(write_raster) -> None:
    masked = write_raster([[1, 2, 3]], "masked.tif", dtype="int16", mask=[[True, False, False]])
    other = write_raster([[4, 5, 6]], "other.tif", dtype="int16", nodata=6)
    values, valid = read(stack_path([masked, other]))
    assert valid.tolist() == [[True, True, False]]
    assert np.isnan(values[0, 0, 1])


def test_the_grid_is_that_of_the_finest_file(write_raster) -> None:
    coarse = write_raster(
        [[10, 30]] * 2, "coarse.tif", dtype="float32", transform=UTM_METRES @ Affine.scale(2), nodata=-1
    )
    fine = write_raster(np.arange(16).reshape(4, 4), "fine.tif")
    info = describe_raster(stack_path([coarse, fine]))
    assert (info.height, info.width, info.resolution_m) == (4, 4, 1)
    assert info.notes[1:] == ("coarse.tif is resampled from 2 m to 1 m (bilinear interpolation).",)
    values, _ = read(stack_path([coarse, fine]))
    # Centres of the fine pixels lie at 0.25, 0.75, 1.25 and 1.75 coarse pixels; those of the coarse ones at 0.5, 1.5.
    assert values[0].tolist() == [[10, 15, 25, 30]] * 4
    assert values[1].tolist() == np.arange(16).reshape(4, 4).tolist()


def test_a_place_outside_a_file_has_no_value_in_its_bands(write_raster) -> None:
    half = write_raster([[9, 9]], "half.tif", dtype="int16")
    whole = write_raster([[1, 2, 3, 4]], "whole.tif", dtype="int16")
    values, valid = read(stack_path([whole, half]))
    assert valid.all()
    assert np.isnan(values[1, 0]).tolist() == [False, False, True, True]


def test_a_shift_of_one_pixel_moves_the_values(write_raster) -> None:
    first = write_raster([[1, 2, 3]], "first.tif", dtype="int16")
    right = write_raster(
        [[7, 8, 9]], "right.tif", dtype="int16", transform=UTM_METRES @ Affine.translation(1, 0)
    )
    values, _ = read(stack_path([first, right]))
    assert np.nan_to_num(values[1], nan=-1).tolist() == [[-1, 7, 8]]


def test_masks_and_alpha_bands_stay_when_a_file_is_warped(write_raster) -> None:
    coarse = UTM_METRES @ Affine.scale(2)
    fine = write_raster(np.ones((4, 4)), "fine.tif")
    masked = write_raster(
        np.full((2, 2), 7), "masked.tif", dtype="int16", transform=coarse, mask=[[True, False]] * 2
    )
    values, _ = read(stack_path([fine, masked]))
    assert np.isnan(values[1]).tolist() == [[False, False, True, True]] * 4
    alpha = np.array([[[7, 7]] * 2, [[255, 0]] * 2])
    clear = write_raster(alpha, "alpha.tif", dtype="int16", transform=coarse, alpha="YES")
    values, _ = read(stack_path([fine, clear]))
    assert len(values) == 2
    assert np.isnan(values[1]).tolist() == [[False, False, True, True]] * 4


def test_windows_have_the_values_of_the_whole(write_raster) -> None:
    rng = np.random.default_rng(0)
    coarse = write_raster(
        rng.uniform(size=(70, 90)), "coarse.tif", dtype="float32", transform=UTM_METRES @ Affine.scale(10 / 3)
    )
    fine = write_raster(rng.integers(0, 255, (210, 280)), "fine.tif")
    path = stack_path([fine, coarse])
    values, valid = read(path)
    for window in (Window(0, 0, 64, 64), Window(33, 101, 128, 96), Window(190, 250, 64, 64)):
        part, part_valid = read(path, window)
        inside = window.clipped(210, 280)
        box = np.s_[inside.row : inside.row + inside.height, inside.col : inside.col + inside.width]
        assert np.array_equal(part[:, : inside.height, : inside.width], values[:, *box], equal_nan=True)
        assert np.array_equal(part_valid[: inside.height, : inside.width], valid[box])


def test_the_same_crs_in_other_words_causes_no_warp(write_raster) -> None:
    first = write_raster([[1, 2]], "first.tif", crs="EPSG:32617")
    proj = CRS.from_proj4("+proj=utm +zone=17 +ellps=WGS84 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs")
    second = write_raster([[3, 4]], "second.tif", crs=proj)
    assert len(describe_raster(stack_path([first, second])).notes) == 1


def test_another_crs_is_warped_and_said(write_raster) -> None:
    utm = write_raster(np.full((8, 8), 1), "utm.tif", transform=UTM_METRES @ Affine.scale(10))
    # Longitude -81 is x = 500,000 in zone 17; the pixels are about 110 m.
    degrees = write_raster(
        np.full((8, 8), 5),
        "degrees.tif",
        crs="EPSG:4326",
        transform=Affine(0.001, 0, -81.004, 0, -0.001, 36.148),
    )
    info = describe_raster(stack_path([utm, degrees]))
    assert info.notes[1].startswith("degrees.tif is warped from WGS 84 (EPSG:4326) to WGS 84 / UTM zone 17N")
    values, valid = read(stack_path([utm, degrees]))
    assert valid.all()
    assert (values[1] == 5).all()


def test_files_that_cannot_lie_on_one_grid_are_rejected(write_raster) -> None:
    here = write_raster([[1, 2]], "here.tif")
    far = write_raster([[1, 2]], "far.tif", transform=UTM_METRES @ Affine.translation(100, 0))
    with pytest.raises(RasterError, match=r"far\.tif: the file does not overlap the other files"):
        describe_raster(stack_path([here, far]))
    nowhere = write_raster([[1, 2]], "nowhere.tif", crs=None)
    with pytest.raises(RasterError, match="some files of the stack have a CRS and some have none"):
        describe_raster(stack_path([here, nowhere]))
    larger = write_raster([[1, 2, 3]], "larger.tif", crs=None)
    with pytest.raises(RasterError, match="without a CRS must have one pixel grid"):
        describe_raster(stack_path([nowhere, larger]))
    with pytest.raises(RasterError, match="lists a file twice"):
        describe_raster(stack_path([here, here]))
    classes = write_raster(
        [[0, 1]], "classes.tif", palette={0: (0, 0, 0, 255), 1: (9, 9, 9, 255)}, photometric="PALETTE"
    )
    with pytest.raises(RasterError, match="colour table cannot be a part of a stack"):
        describe_raster(stack_path([here, classes]))


def test_a_changed_file_of_a_stack_changes_its_identity(write_raster, tmp_path: Path) -> None:
    red, nir = write_raster([[1, 2]], "red.tif"), write_raster([[3, 4]], "nir.tif")
    listed = write_list(tmp_path, "red.tif", "nir.tif")
    for path in (stack_path([red, nir]), listed):
        before = raster_identity(path)
        assert {red, nir} <= set(local_files(path))
        os.utime(nir, ns=(1, nir.stat().st_mtime_ns + 1))
        assert first_changed_file(before, raster_identity(path)) == str(nir)
    before = raster_identity(listed)
    write_list(tmp_path, "nir.tif", "red.tif")
    assert first_changed_file(before, raster_identity(listed)) == str(listed)
