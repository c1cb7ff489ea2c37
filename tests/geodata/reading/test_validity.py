"""Which pixels of a raster are valid, and what is read where a band has no value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.rasters import Validity, describe_raster, open_raster


def read_all(path: Path, **options: object) -> tuple[np.ndarray, np.ndarray]:
    with open_raster(path, **options) as raster:
        return raster.read(Window(0, 0, raster.height, raster.width))


def test_a_pixel_is_invalid_where_all_chosen_bands_are_nodata_as_in_dataset_mask(write_raster) -> None:
    path = write_raster([[[7, 1, 7]], [[1, 7, 7]]], nodata=7)
    assert read_all(path)[1].tolist() == [[True, True, False]]
    assert read_all(path, bands=[1])[1].tolist() == [[False, True, False]]
    with rasterio.open(path) as dataset:
        assert (dataset.dataset_mask() > 0).tolist() == read_all(path)[1].tolist()


def test_by_the_strict_rule_nodata_in_any_chosen_band_makes_a_pixel_invalid(write_raster) -> None:
    path = write_raster([[[7, 1, 1]], [[1, 7, 1]]], nodata=7)
    strict = Validity(is_strict=True)
    assert read_all(path, validity=strict)[1].tolist() == [[False, False, True]]
    assert read_all(path, bands=[1], validity=strict)[1].tolist() == [[False, True, True]]


@pytest.mark.parametrize("missing", [-9999, np.nan, np.inf])
def test_a_band_without_a_value_at_a_valid_pixel_is_nan(write_raster, missing: float) -> None:
    path = write_raster([[[missing, 0.5]], [[0.25, 1]]], dtype="float32", nodata=-9999)
    pixels, valid = read_all(path)
    assert valid.tolist() == [[True, True]]
    assert np.isnan(pixels).tolist() == [[[True, False]], [[False, False]]]
    assert pixels[1].tolist() == [[0.25, 1]]


def test_black_in_one_band_of_an_8_bit_image_keeps_its_value(write_raster) -> None:
    pixels, valid = read_all(write_raster([[[90, 0]], [[0, 0]]], nodata=0))
    assert (pixels.tolist(), valid.tolist()) == ([[[90, 0]], [[0, 0]]], [[True, False]])


def test_a_nodata_value_that_the_user_names_counts_beside_the_declared_one(write_raster) -> None:
    path = write_raster([[[9, 255, 0, 5]]], nodata=0)
    assert read_all(path)[1].tolist() == [[True, True, False, True]]
    assert read_all(path, validity=Validity(255))[1].tolist() == [[True, False, False, True]]


def test_a_nodata_value_that_the_user_names_goes_through_resampling(write_raster) -> None:
    path = write_raster([[0.5, -9999], [0.5, 0.5]], dtype="float32")
    with open_raster(path, resolution_m=2, validity=Validity(-9999)) as raster:
        assert raster.read(Window(0, 0, 1, 1))[0].tolist() == [[[0.5]]]


def test_resampling_takes_each_band_from_the_pixels_where_it_has_a_value(write_raster) -> None:
    path = write_raster([[[1, -1]], [[-1, -1]], [[2, 4]]], dtype="float32", nodata=-1)
    with open_raster(path, resolution_m=2) as raster:
        pixels, valid = raster.read(Window(0, 0, 1, 1))
    assert valid.tolist() == [[True]]
    assert (pixels[0].tolist(), pixels[2].tolist()) == ([[1]], [[3]])
    assert np.isnan(pixels[1]).all()


def test_bands_of_different_types_and_nodata_are_read_in_the_type_that_holds_all(write_raster) -> None:
    one = write_raster([[0.5, -99999]], "one.tif", dtype="float32", nodata=-99999)
    other = write_raster([[300, 400]], "other.tif", dtype="int16", nodata=-32768)
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{path.name}</SourceFilename></SimpleSource></VRTRasterBand>'
        for n, (kind, nodata, path) in enumerate([("Float32", -99999, one), ("Int16", -32768, other)], 1)
    )
    stack = one.with_name("stack.vrt")
    stack.write_text(f'<VRTDataset rasterXSize="2" rasterYSize="1">{bands}</VRTDataset>')
    pixels, valid = read_all(stack)
    assert describe_raster(stack).dtype == "float32"
    assert (pixels[0, 0, 0], pixels[1].tolist(), valid.tolist()) == (0.5, [[300, 400]], [[True, True]])
    assert np.isnan(pixels[0, 0, 1])


@pytest.mark.parametrize("value", [300, -1, 0.5])
def test_a_nodata_value_that_no_pixel_can_have_is_refused(write_raster, value) -> None:
    message = rf"outside the pixel type .*expected a whole number from 0 to 255 \(uint8\); got {value}"
    with pytest.raises(RasterError, match=message):
        open_raster(write_raster([[1, 2]]), validity=Validity(value))
    open_raster(write_raster([[1, 2]], dtype="float32"), validity=Validity(value)).close()
