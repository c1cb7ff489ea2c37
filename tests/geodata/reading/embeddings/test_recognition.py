"""Embeddings in the formats of their publishers: what is read, from which file, and what is refused."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from tests.embeddings import formats, vectors

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.domain.raster_stacks import stack_path
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.identity import raster_identity
from geoseg.geodata.reading.rasters import Validity, describe_raster, open_raster

HEIGHT, WIDTH = 50, 70
STRICT = Validity(is_strict=True)
PARTS = [Window(0, 0, HEIGHT, WIDTH), Window(3, 20, 9, 40), Window(-4, 60, 20, 20)]


@pytest.fixture(scope="module")
def holes():
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[:4, :9] = found[30, 40] = True
    return found


@pytest.fixture(scope="module")
def mask():
    return vectors.regions(HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def alpha(mask, holes):
    return formats.alpha_earth_integers(vectors.unit(vectors.linear(mask, 64)), holes)


@pytest.fixture(scope="module")
def tessera(mask, holes):
    return formats.tessera_integers(vectors.linear(mask, 128), holes)


def assert_reads(path, values, holes):
    """Every window has the values, and no data in the holes and outside."""
    with open_raster(path, validity=STRICT) as raster:
        for window in PARTS:
            pixels, valid = raster.read(window)
            part = window.clipped(HEIGHT, WIDTH)
            inside = np.s_[part.row - window.row :, part.col - window.col :]
            own = np.s_[part.row : part.row + part.height, part.col : part.col + part.width]
            box = pixels[:, *inside][:, : part.height, : part.width]
            there = valid[inside][: part.height, : part.width]
            assert np.array_equal(there, ~holes[own])
            np.testing.assert_allclose(box, np.where(holes[own], 0, values[:, *own]), rtol=1e-6)
            assert valid.sum() == there.sum()


def test_alpha_earth_is_decoded_and_shown_from_north_to_south(tmp_path, alpha, holes):
    values = formats.alpha_earth_values(alpha)
    assert np.abs(np.linalg.norm(values, axis=0)[~holes] - 1).max() < 0.02
    bottom_up = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    with rasterio.open(bottom_up) as stored:
        assert stored.transform.e > 0
    top_down = formats.write_alpha_earth(tmp_path / "b.tif", alpha, is_bottom_up=False)
    virtual = formats.write_vrt(tmp_path / "a.vrt", bottom_up)
    for path in (bottom_up, top_down, virtual):
        info = describe_raster(path)
        assert info.feature_space == FeatureSpace(64, "AlphaEarth")
        assert info.transform == tuple(vectors.NORTH_UP)[:6]
        assert (info.dtype, info.nodata, info.bands) == ("float32", None, 64)
        assert_reads(path, values, holes)


def test_chosen_bands_of_embeddings_are_read_in_their_order(tmp_path, alpha, holes):
    path = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    with open_raster(path, bands=[5, 2], validity=STRICT) as raster:
        pixels, _ = raster.read(PARTS[0])
    expected = np.where(holes, 0, formats.alpha_earth_values(alpha[[4, 1]]))
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_exports_of_earth_engine_are_values_already(tmp_path, alpha):
    path = formats.write_earth_engine_floats(tmp_path / "a.tif", formats.alpha_earth_values(alpha))
    assert describe_raster(path).feature_space == FeatureSpace(64, "AlphaEarth")
    with open_raster(path) as raster:
        assert np.array_equal(raster.read(PARTS[0])[0], formats.alpha_earth_values(alpha))


@pytest.mark.parametrize("form", ["pair", "tile", "zarr", "floats"])
def test_tessera_is_integers_times_scales_in_every_form(tmp_path, tessera, holes, form):
    stored, scales = tessera
    values = stored * np.nan_to_num(scales)
    if form == "pair":
        path = formats.write_tessera_pair(tmp_path / "t.tif", stored, scales)
    elif form == "tile":
        path = formats.write_tessera_tile(tmp_path, stored, np.nan_to_num(scales, nan=1), water=holes)
    elif form == "zarr":
        path = formats.write_tessera_zarr(tmp_path / "t.zarr", stored, np.where(holes, np.inf, scales))
    else:
        path = formats.write_tessera_floats(
            tmp_path / "t.tif", np.where(holes, np.nan, values).astype(np.float32)
        )
    info = describe_raster(path)
    variant = None if form == "zarr" else "cambridge"
    assert info.feature_space == FeatureSpace(128, "Tessera", "1.1", variant)
    assert (info.height, info.width, info.transform) == (HEIGHT, WIDTH, tuple(vectors.NORTH_UP)[:6])
    assert info.resolution_m == 10
    assert_reads(path, values, holes)


def test_a_change_of_the_scales_changes_the_identity_of_the_raster(tmp_path, tessera):
    stored, scales = tessera
    path = formats.write_tessera_pair(tmp_path / "t.tif", stored, scales)
    assert [name for name, *_ in raster_identity(path)] == [str(path), str(tmp_path / "t_scales.tif")]
    tile = formats.write_tessera_tile(tmp_path / "tiles", stored, scales)
    assert len(raster_identity(tile)) == 3
    zone = formats.write_tessera_zarr(tmp_path / "t.zarr", stored, scales)
    assert len(raster_identity(zone)) == 3


def test_a_year_of_a_store_is_a_part_of_its_path(tmp_path, tessera, holes):
    stored, scales = tessera
    zone = formats.write_tessera_zarr(tmp_path / "t.zarr", stored, scales, years=(2023, 2024))
    assert_reads(zone / "2024", stored * np.nan_to_num(scales), holes)
    with pytest.raises(RasterError, match=r"several years; expected one of 2023, 2024.*utm33/2024"):
        describe_raster(zone)
    with pytest.raises(RasterError, match="does not hold this year"):
        describe_raster(zone / "2020")
    with pytest.raises(RasterError, match=r"holds no embeddings.*utm33"):
        describe_raster(tmp_path / "t.zarr")


def test_two_embeddings_of_one_grid_are_one_vector(tmp_path, alpha, tessera, holes):
    stored, scales = tessera
    files = [
        formats.write_alpha_earth(tmp_path / "a.tif", alpha),
        formats.write_tessera_pair(tmp_path / "t.tif", stored, scales),
    ]
    values = np.concatenate([formats.alpha_earth_values(alpha), stored * np.nan_to_num(scales)])
    info = describe_raster(stack_path(files))
    assert info.feature_space == FeatureSpace(
        192, "AlphaEarth + Tessera", "unknown + 1.1", "unknown + cambridge"
    )
    assert_reads(stack_path(files), values, holes)
    moved = formats.write_tessera_floats(
        tmp_path / "moved.tif", np.ones((128, HEIGHT, WIDTH - 1), np.float32)
    )
    with pytest.raises(RasterError, match="wrong size"):
        describe_raster(stack_path([files[0], moved]))


def test_overviews_are_never_read(tmp_path, alpha, holes):
    """The overviews are means of the integers, which are no embeddings."""
    path = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == [2, 4]
    with open_raster(path, resolution_m=20, validity=STRICT) as raster:
        pixels, valid = raster.read(Window(10, 10, 1, 1))
    expected = formats.alpha_earth_values(alpha)[:, 20:22, 20:22].mean(axis=(1, 2))
    assert valid.all()
    np.testing.assert_allclose(pixels[:, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("nodata", [None, 0])
def test_integers_without_the_nodata_value_are_refused(tmp_path, alpha, nodata):
    path = formats.write_alpha_earth(tmp_path / "a.tif", alpha, nodata=nodata)
    with pytest.raises(
        RasterError, match=r"without the nodata value -128.*gdal_edit.py -a_nodata -128 a.tif"
    ):
        describe_raster(path)


def test_integers_without_scales_are_refused(tmp_path, tessera):
    stored, scales = tessera
    with pytest.raises(RasterError, match=r"without their scales.*t_scales.tif beside it"):
        describe_raster(formats.write_tessera_pair(tmp_path / "t.tif", stored, None))
    tile = formats.write_tessera_tile(tmp_path, stored, scales)
    tile.with_name(f"{tile.stem}_scales.npy").unlink()
    with pytest.raises(RasterError, match="without their scales"):
        describe_raster(tile)


def test_scales_of_another_grid_are_refused(tmp_path, tessera):
    stored, scales = tessera
    shifted = vectors.NORTH_UP @ Affine.translation(1, 0)
    with pytest.raises(RasterError, match="wrong position or pixel size"):
        describe_raster(
            formats.write_tessera_pair(tmp_path / "t.tif", stored, scales, scales_transform=shifted)
        )
    with pytest.raises(RasterError, match="wrong size"):
        describe_raster(formats.write_tessera_pair(tmp_path / "u.tif", stored, scales[:-1]))
    tile = formats.write_tessera_tile(tmp_path, stored, scales)
    np.save(tile.with_name(f"{tile.stem}_scales.npy"), scales[:-1])
    with pytest.raises(RasterError, match="scales do not have the grid of the embeddings"):
        describe_raster(tile)


def test_a_tile_without_its_land_mask_has_no_position(tmp_path, tessera):
    tile = formats.write_tessera_tile(tmp_path, *tessera)
    next(tmp_path.rglob("*.tiff")).unlink()
    with pytest.raises(RasterError, match=r"land mask of this tile is missing.*global_0.1_degree_tiff_all"):
        describe_raster(tile)


def test_damaged_arrays_are_told(tmp_path, tessera):
    tile = formats.write_tessera_tile(tmp_path, *tessera)
    tile.write_bytes(tile.read_bytes()[:1000])
    with pytest.raises(RasterError, match="NumPy array cannot be read"):
        describe_raster(tile)
    np.save(tile, np.zeros((4, 4)))
    with pytest.raises(RasterError, match=r"no tile of Tessera embeddings.*int8 \(rows, columns, bands\)"):
        describe_raster(tile)
