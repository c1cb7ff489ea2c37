"""xarray DataArrays with the georeference of rioxarray: in, and back with their coordinates."""

import numpy as np
import pytest

import geoseg
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.workflows.library.rasters import raster_file, raster_grid

xarray = pytest.importorskip("xarray")
rioxarray = pytest.importorskip("rioxarray")
# rioxarray multiplies transforms in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture
def array(dataset):
    with rioxarray.open_rasterio(dataset / "images" / "east.tif") as opened:
        yield opened.load()


def test_the_map_has_the_coordinates_of_the_raster(fitted, array, scene):
    found, shares = fitted.predict(array), fitted.predict_proba(array)

    assert isinstance(found, xarray.DataArray)
    assert (found.dims, found.dtype, found.name) == (("y", "x"), np.uint8, "class")
    assert found.rio.crs == array.rio.crs
    assert found.rio.transform() == array.rio.transform()
    assert found.rio.nodata == 255
    np.testing.assert_array_equal(found, fitted.predict(scene[0]))
    assert shares.dims == ("class", "y", "x")
    assert shares["class"].values.tolist() == ["field", "wood", "water"]
    np.testing.assert_array_equal(shares["x"], array["x"])


def test_a_part_that_was_cut_out_lies_where_it_lies(array, tmp_path):
    part = array.isel(x=slice(32, 96), y=slice(10, 74))

    file = raster_file(part, tmp_path, "part")

    info = describe_raster(file.path)
    assert info.transform == tuple(part.rio.transform(recalc=True))[:6]
    assert info.transform[2] == array.rio.transform()[2] + 32
    assert raster_grid(part, "part").transform == info.transform


def test_other_orders_of_dimensions_and_single_bands_are_read(array, tmp_path):
    last = raster_file(array.transpose("y", "x", "band"), tmp_path, "last")
    one = raster_file(array.isel(band=0), tmp_path, "one")

    assert (describe_raster(last.path).bands, describe_raster(one.path).bands) == (3, 1)


def test_rows_from_south_to_north_stay_so(fitted, array):
    upward = array.isel(y=slice(None, None, -1))

    found = fitted.predict(upward)

    np.testing.assert_array_equal(found["y"], upward["y"])
    assert (found.isel(y=slice(None, None, -1)).values == fitted.predict(array).values).mean() > 0.9


def test_points_of_a_mask_train_a_model_of_a_data_array(array, dataset):
    mask = rioxarray.open_rasterio(dataset / "masks" / "east.tif").load()
    points = geoseg.sample_points(mask, per_class=10, legend=["field", "wood", "water"])

    segmenter = geoseg.PointSegmenter("forest", patch=64, prior="none").fit(array, points)

    assert points.crs == array.rio.crs
    scores = geoseg.evaluate(segmenter.predict(array), mask, legend=segmenter.legend_)
    assert scores.overall_accuracy > 0.7
    assert geoseg.evaluate(segmenter.predict(array), points, legend=segmenter.legend_).miou > 0.7


def test_a_fourth_dimension_is_refused(fitted, array):
    with pytest.raises(geoseg.SettingsError, match=r"too many dimensions; .* got time, band, y, x\.$"):
        fitted.predict(array.expand_dims("time"))
