from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoseg.errors import LegendError, RasterError
from geoseg.geodata.reading.masks import read_class_ids, read_mask
from geoseg.geodata.reading.rasters import describe_raster


def test_a_mask_gives_class_ids_and_255_where_there_is_no_label(write_raster, legend) -> None:
    path = write_raster([[0, 1], [2, 255]])
    ids = read_mask(path, legend)
    assert ids.tolist() == [[0, 1], [2, 255]]
    assert ids.dtype == np.uint8


def test_nodata_and_masked_pixels_are_unlabelled(write_raster, legend) -> None:
    assert read_mask(write_raster([[9, 0, 1]], nodata=9), legend).tolist() == [[255, 0, 1]]
    assert read_mask(write_raster([[0, 1]], mask=[[True, False]]), legend).tolist() == [[0, 255]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "float32", "float64"])
def test_whole_numbers_of_any_type_are_class_ids(write_raster, legend, dtype: str) -> None:
    path = write_raster([[0, 2, -5]], dtype=dtype, nodata=-5) if dtype != "uint16" else None
    path = path or write_raster([[0, 2, 999]], dtype=dtype, nodata=999)
    assert read_mask(path, legend).tolist() == [[0, 2, 255]]


def test_nan_is_unlabelled(write_raster, legend) -> None:
    assert read_mask(write_raster([[1, np.nan]], dtype="float32"), legend).tolist() == [[1, 255]]


def test_fractional_values_are_refused(write_raster, legend) -> None:
    with pytest.raises(RasterError, match=r"expected whole numbers; got 1 fractional values, the first 1\.5"):
        read_mask(write_raster([[1, 1.5]], dtype="float32"), legend)


def test_a_value_outside_the_legend_is_named_with_its_file(write_raster, legend) -> None:
    with pytest.raises(LegendError, match=r"raster\.tif: .*2 = water, .*got 3 \(1 pixels\), 7 \(2 pixels\)"):
        read_mask(write_raster([[3, 7, 7]]), legend)
    with pytest.raises(LegendError, match="got -1"):
        read_mask(write_raster([[-1]], dtype="int16"), legend)


def test_any_class_id_is_read_where_no_legend_is_known(write_raster) -> None:
    assert read_class_ids(write_raster([[7, 254, 255]]))[0].tolist() == [[7, 254, 255]]
    with pytest.raises(LegendError, match="got 256"):
        read_class_ids(write_raster([[256]], dtype="uint16"))


def test_a_palette_mask_is_read_by_index(tmp_path: Path, legend) -> None:
    picture = Image.new("P", (3, 1))
    picture.putdata([2, 1, 0])
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", legend).tolist() == [[2, 1, 0]]


def test_a_mask_must_lie_over_its_image(write_raster, legend) -> None:
    info = describe_raster(write_raster(np.zeros((3, 2, 2)), "image.tif"))
    same = write_raster([[0, 1], [2, 0]], "same.tif")
    assert read_mask(same, legend, info).shape == (2, 2)
    with pytest.raises(RasterError, match=r"wide\.tif: wrong size"):
        read_mask(write_raster([[0, 1, 2], [0, 1, 2]], "wide.tif"), legend, info)
    with pytest.raises(RasterError, match="wrong CRS"):
        read_mask(write_raster([[0, 1], [2, 0]], "crs.tif", crs="EPSG:32618"), legend, info)


def test_a_plain_mask_lies_over_a_georeferenced_image_of_its_size(
    tmp_path: Path, write_raster, legend
) -> None:
    info = describe_raster(write_raster(np.zeros((3, 2, 2)), "image.tif"))
    Image.new("L", (2, 2), 1).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", legend, info).tolist() == [[1, 1], [1, 1]]
