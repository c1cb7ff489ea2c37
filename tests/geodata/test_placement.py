"""Rasters that have no grid on the ground: by ground control points, RPCs or a geolocation array, or without a place."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from geoseg.errors import RasterError
from geoseg.geodata.reading.grids import describe_missing_georeference
from geoseg.geodata.reading.opening import ignore_missing_georeference
from geoseg.geodata.reading.rasters import describe_any_raster, describe_raster, open_raster

RPCS = RPC(
    height_off=100, height_scale=500, lat_off=46, lat_scale=0.1, long_off=9, long_scale=0.1, line_off=2,
    line_scale=2, samp_off=2, samp_scale=2, line_num_coeff=[0, 0, 1] + [0] * 17, line_den_coeff=[1] + [0] * 19,
    samp_num_coeff=[0, 1] + [0] * 18, samp_den_coeff=[1] + [0] * 19,
)  # fmt: skip


@pytest.fixture
def by_gcps(write_raster):
    corners = [(0, 0, 9.0, 46.0), (0, 4, 9.1, 46.0), (4, 0, 9.0, 45.9)]
    gcps = [GroundControlPoint(*corner) for corner in corners]
    return write_raster(np.ones((4, 4)), "gcps.tif", crs="EPSG:4326", transform=None, gcps=gcps)


@pytest.fixture
def by_rpcs(write_raster):
    return write_raster(np.ones((4, 4)), "rpcs.tif", crs=None, transform=None, rpcs=RPCS)


@pytest.fixture
def by_geolocation(write_raster):
    path = write_raster(np.ones((4, 4)), "swath.tif", crs=None, transform=None)
    with ignore_missing_georeference(), rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="GEOLOCATION", X_DATASET="lon.tif", Y_DATASET="lat.tif")
    return path


@pytest.mark.parametrize(
    ("fixture", "what", "command"),
    [
        ("by_gcps", "ground control points", "gdalwarp -t_srs EPSG:<code> gcps.tif gcps_warped.tif"),
        ("by_rpcs", "RPCs", "gdalwarp -rpc -t_srs EPSG:<code> rpcs.tif rpcs_warped.tif"),
        ("by_geolocation", "a geolocation array", "gdalwarp -geoloc -t_srs EPSG:<code> swath.tif"),
    ],
)
@pytest.mark.parametrize("read", [describe_raster, open_raster])
def test_a_raster_without_a_grid_on_the_ground_is_refused_with_the_command_to_warp_it(
    fixture, what, command, read, request
):
    path = request.getfixturevalue(fixture)

    with pytest.raises(RasterError, match=f"georeferenced by {what} only") as fault:
        read(path)

    assert command in fault.value.hint
    assert describe_any_raster(path).georeferenced_by == what


def test_ground_control_points_beside_a_geotransform_do_no_harm(write_raster):
    assert describe_raster(write_raster(np.ones((4, 4)), rpcs=RPCS)).georeferenced_by is None


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({}, None),
        ({"crs": None}, "raster.tif has no CRS: its maps have no CRS and no areas either."),
        ({"transform": None}, "raster.tif has a CRS but no geotransform"),
        ({"crs": None, "transform": None}, "raster.tif has no CRS and no geotransform"),
    ],
)
def test_what_a_raster_lacks_to_have_a_place_is_said(write_raster, place, said):
    found = describe_missing_georeference(describe_raster(write_raster(np.ones((4, 4)), **place)))

    assert found == said or (said is not None and found.startswith(said))


def test_a_geotransform_alone_is_kept(write_raster):
    info = describe_raster(write_raster(np.ones((4, 4)), crs=None, transform=Affine(2, 0, 7, 0, -2, 9)))

    assert info.transform == (2, 0, 7, 0, -2, 9)
