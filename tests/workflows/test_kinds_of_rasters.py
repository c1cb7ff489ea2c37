"""Predict: whatever a raster's size, bands, type, layout and place, the map is that of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.env import Env
from rasterio.errors import RasterioError

from geoseg.domain.legend import legend_from_names
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.inference.graphs.trees import Tree, forest_graph
from geoseg.learning.model_file import ModelRecord, inference_graph, pack_model
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.models.deeplab import Architecture
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.predict import predict

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*the model was trained at 1 m:geoseg.errors.GeoSegWarning"),
    pytest.mark.filterwarnings("ignore:.*many values lie outside the range"),
]
SIZE = (70, 73)
PIXELS = np.random.default_rng(0).integers(1, 200, (3, *SIZE), np.uint8)
HOLE = np.zeros(SIZE, np.bool_)
HOLE[20:34, 20:60] = HOLE[66, 3] = True
FLOAT_MIN = float(np.finfo(np.float32).min)


def classes_of(values):
    """Return the map that a model of these bands (B, H, W) gives: two bits, for the first and the last band."""
    return 2 * (values[0] > 100) + (values[-1] > 100)


def pack_tree(bands, features):
    """Pack a tree that asks whether two features are over 100, and names the four cases 0 to 3."""
    tree = Tree(
        feature=np.array([features[0], features[1], features[1], 0, 0, 0, 0]),
        threshold=np.array([100.0] * 3 + [0.0] * 4, np.float32),
        left=np.array([1, 3, 5, -1, -1, -1, -1]),
        right=np.array([2, 4, 6, -1, -1, -1, -1]),
        shares=np.concatenate([np.full((3, 4), 0.25), np.eye(4)]).astype(np.float32),
    )
    count = len(bands)
    record = ModelRecord(
        recipe="forest",
        architecture=Architecture(bands=count, classes=4, patch_px=64, head="forest"),
        legend=legend_from_names(["low", "second", "first", "both"]),
        bands=tuple(bands),
        dtype="uint8",
        normalisation=Normalisation((0.0,) * count, (1.0,) * count),
        resolution_m=1.0,
        training={},
        context_px=32,
    )
    return pack_model(inference_graph(forest_graph([tree], count)), record)


@pytest.fixture
def model_of(tmp_path):
    """Write a model of some bands that looks at the first and the last of them, pixel by pixel."""

    def write(*bands):
        path = tmp_path / "model.geoseg"
        path.write_bytes(pack_tree(bands, (0, len(bands) - 1)))
        return path

    return write


@pytest.fixture
def smooth_model(tmp_path):
    """A model that looks at the means of the first and the last of three bands around each pixel."""
    path = tmp_path / "smooth.geoseg"
    # After the 3 bands come 3 means and 3 deviations a scale; the third scale is 4 px.
    path.write_bytes(pack_tree((1, 2, 3), (15, 17)))
    return path


@pytest.fixture
def map_of(tmp_path):
    """Predict a raster in windows of 32 px, so that windows cut across the file's blocks."""

    def run(model, raster, window=32):
        path = tmp_path / "maps" / f"{raster.stem}.tif"
        exact = {"device": "cpu", "precision": "float32", "window": window, "overwrite": True}
        predict(PredictSettings(model=model, rasters=(raster,), output=path, **exact))
        return read_class_map(path)[0]

    return run


def write_mosaic(path, write_tiff):
    """Write the pixels as two files side by side, and the VRT that gdalbuildvrt would make of them."""
    height, width = SIZE
    bands = dict.fromkeys((1, 2, 3), "")
    for left, right in ((0, 41), (41, width)):
        write_tiff(path.with_name(f"from{left}.tif"), PIXELS[:, :, left:right])
        size = f'yOff="0" xSize="{right - left}" ySize="{height}"'
        for band in bands:
            bands[band] += (
                f'<SimpleSource><SourceFilename relativeToVRT="1">from{left}.tif</SourceFilename>'
                f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" {size}/><DstRect xOff="{left}" {size}/>'
                "</SimpleSource>"
            )
    place = "<SRS>EPSG:32617</SRS><GeoTransform>500000, 1, 0, 4000000, 0, -1</GeoTransform>"
    inside = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{sources}</VRTRasterBand>'
        for band, sources in bands.items()
    )
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{place}{inside}</VRTDataset>')


# Layouts

TILES = {"tiled": True, "blockxsize": 16, "blockysize": 48}
LAYOUTS = {
    "strips": {"blockysize": 7, "interleave": "band"},
    "one strip": {"blockysize": 70},
    "tiles": TILES,
    "tiles larger than the raster": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "tiles of one band": {**TILES, "interleave": "band"},
    "deflate": {**TILES, "compress": "deflate", "predictor": 2},
    "lzw": {"compress": "lzw", "predictor": 2},
    "packbits": {"compress": "packbits"},
    "zstd": {**TILES, "compress": "zstd"},
    "big TIFF": {**TILES, "BIGTIFF": "YES"},
    "big endian": {"ENDIANNESS": "BIG"},
    "uint16": {"dtype": "uint16", "compress": "lzw"},
    "uint16, big endian": {**TILES, "dtype": "uint16", "ENDIANNESS": "BIG"},
    "12 bits": {"dtype": "uint16", "NBITS": 12},
    "int16": {"dtype": "int16"},
    "float32": {**TILES, "dtype": "float32", "compress": "deflate", "predictor": 3},
    "float64, big endian": {"dtype": "float64", "ENDIANNESS": "BIG"},
}


@pytest.fixture
def stored(tmp_path, write_tiff):
    """Write the pixels in a layout."""

    def write(dtype="uint8", **creation):
        return write_tiff(tmp_path / "raster.tif", PIXELS.astype(dtype), **creation)

    return write


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_pixels_have_the_same_map_in_every_layout(model_of, map_of, stored, layout) -> None:
    try:
        raster = stored(**LAYOUTS[layout])
    except RasterioError:
        if layout != "zstd":
            raise
        pytest.skip("this GDAL has no ZSTD")

    values = map_of(model_of(1, 2, 3), raster)

    np.testing.assert_array_equal(values, classes_of(PIXELS))


@pytest.mark.parametrize(
    ("layout", "start"), [("big TIFF", b"II\x2b\0"), ("big endian", b"MM\0\x2a"), ("strips", b"II\x2a\0")]
)
def test_the_layouts_are_what_they_are_called(stored, layout, start) -> None:
    assert stored(**LAYOUTS[layout]).read_bytes()[:4] == start


@pytest.mark.parametrize("kind", ["COG", "VRT", "mosaic"])
def test_the_same_pixels_have_the_same_map_as_a_cog_and_a_vrt(
    model_of, map_of, stored, write_tiff, tmp_path, kind
) -> None:
    path = tmp_path / f"copy.{'tif' if kind == 'COG' else 'vrt'}"
    if kind == "mosaic":
        write_mosaic(path, write_tiff)
    else:
        rasterio.shutil.copy(stored(), path, driver=kind)

    np.testing.assert_array_equal(map_of(model_of(1, 2, 3), path), classes_of(PIXELS))


@pytest.mark.parametrize(
    "layout", [{"photometric": "YCBCR", **TILES, "blockysize": 16}, {"photometric": "RGB"}]
)
def test_the_map_of_a_jpeg_in_a_tiff_is_that_of_the_pixels_it_shows(model_of, map_of, stored, layout) -> None:
    path = stored(compress="jpeg", **layout)
    with rasterio.open(path) as dataset:
        shown = dataset.read()
    assert (shown != PIXELS).any()

    np.testing.assert_array_equal(map_of(model_of(1, 2, 3), path), classes_of(shown))


# Holes


def mark_by_value(dtype, value):
    """Return a way to mark the hole: by a nodata value."""

    def write(path, write_tiff):
        values = PIXELS.astype(dtype)
        values[:, HOLE] = value
        write_tiff(path, values, nodata=value)

    return write


def mark_by_nan(bands):
    """Return a way to mark the hole: by NaN in some bands, without a nodata value."""

    def write(path, write_tiff):
        values = PIXELS.astype(np.float32)
        for band in bands:
            values[band, HOLE] = np.nan
        write_tiff(path, values)

    return write


def mark_by_mask(is_internal):
    """Return a way to mark the hole: by a mask, in the file or in a .msk beside it; the pixels stay."""

    def write(path, write_tiff):
        write_tiff(path, PIXELS, **TILES)
        with Env(GDAL_TIFF_INTERNAL_MASK=is_internal), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(~HOLE)
        assert path.with_name(f"{path.name}.msk").exists() is not is_internal

    return write


def mark_by_alpha(dtype, opaque, **creation):
    """Return a way to mark the hole: by an alpha band; the pixels stay."""

    def write(path, write_tiff):
        values = np.concatenate([PIXELS, np.where(HOLE, 0, opaque)[None]]).astype(dtype)
        write_tiff(path, values, photometric="RGB", ALPHA="YES", **creation)

    return write


HOLES = {
    "uint16": mark_by_value("uint16", 65535),
    "int16": mark_by_value("int16", -32768),
    "float32": mark_by_value("float32", FLOAT_MIN),
    "NaN": mark_by_value("float32", np.nan),
    "NaN unsaid": mark_by_nan([0, 1, 2]),
    "mask inside": mark_by_mask(True),
    "mask beside": mark_by_mask(False),
    "alpha": mark_by_alpha("uint8", 255),
    "alpha, half transparent elsewhere": mark_by_alpha("uint8", 1),
    "alpha in uint16": mark_by_alpha("uint16", 65535),
    "alpha in float32": mark_by_alpha("float32", 1),
    "alpha beside a nodata value": mark_by_alpha("int16", 1, nodata=-1),
}


@pytest.mark.parametrize("kind", HOLES)
def test_a_hole_is_a_hole_however_it_is_marked_and_its_values_touch_no_neighbour(
    smooth_model, map_of, write_tiff, tmp_path, kind
) -> None:
    mark_by_value("uint8", 0)(tmp_path / "plain.tif", write_tiff)
    HOLES[kind](tmp_path / "raster.tif", write_tiff)

    expected, values = (map_of(smooth_model, tmp_path / name, None) for name in ("plain.tif", "raster.tif"))

    np.testing.assert_array_equal(values == 255, HOLE)
    assert len(np.unique(values)) > 3
    np.testing.assert_array_equal(values, expected)


# Bands


@pytest.mark.parametrize("bands", [(1,), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8), (8, 2)])
def test_a_model_takes_its_bands_from_a_raster_of_eight(
    model_of, map_of, write_tiff, tmp_path, bands
) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (8, 40, 50), np.uint16) // 20
    raster = write_tiff(tmp_path / "raster.tif", pixels)

    values = map_of(model_of(*bands), raster)

    np.testing.assert_array_equal(values, classes_of(pixels[[band - 1 for band in bands]]))


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_model_of_all_bands_leaves_the_alpha_behind_them_alone(
    model_of, map_of, write_tiff, tmp_path, count
) -> None:
    pixels = np.random.default_rng(2).integers(0, 200, (count + 1, 40, 50), np.uint8)
    pixels[-1] = 255
    pixels[-1, :5, :5] = 0
    raster = write_tiff(tmp_path / "raster.tif", pixels)
    with rasterio.open(raster, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (count - 1), ColorInterp.alpha]

    values = map_of(model_of(*range(1, count + 1)), raster)

    np.testing.assert_array_equal(values, np.where(pixels[-1] > 0, classes_of(pixels[:-1]), 255))


# Sizes


def test_an_alpha_band_that_the_model_was_trained_on_is_data(model_of, map_of, write_tiff, tmp_path) -> None:
    pixels = np.random.default_rng(6).integers(0, 200, (4, *SIZE), np.uint8)
    raster = write_tiff(tmp_path / "raster.tif", pixels, photometric="RGB", ALPHA="YES")

    np.testing.assert_array_equal(map_of(model_of(1, 2, 3, 4), raster), classes_of(pixels))


@pytest.mark.parametrize("size", [(1, 1), (1, 150), (150, 1), (2, 3), (31, 33), (65, 129)])
def test_a_raster_of_any_size_has_a_map_of_that_size(model_of, map_of, write_tiff, tmp_path, size) -> None:
    pixels = np.random.default_rng(3).integers(0, 200, (1, *size), np.uint8)
    raster = write_tiff(tmp_path / "raster.tif", pixels)

    for window in (None, 32):
        np.testing.assert_array_equal(map_of(model_of(1), raster, window), classes_of(pixels))


@pytest.mark.parametrize("size", [(1, 150), (150, 1), (31, 33)])
def test_a_network_maps_rasters_far_smaller_than_its_patches(
    model, map_of, write_tiff, tmp_path, size
) -> None:
    pixels = np.random.default_rng(4).integers(1, 200, (3, *size), np.uint8)

    values = map_of(model, write_tiff(tmp_path / "raster.tif", pixels))

    assert values.shape == size
    assert (values < 3).all()


# Places

CORNER = Affine.translation(500_000.123456789, 4_000_000.987654321)
PLACES = {
    "turned": CORNER @ Affine.rotation(30) @ Affine.scale(0.3, -0.3),
    "turned and stretched": CORNER @ Affine.rotation(-101.7) @ Affine.scale(1 / 3, -0.7),
    "sheared": CORNER @ Affine(1, 0.2, 0, 0.1, -1, 0),
    "south up": CORNER @ Affine.scale(1 / 3),
    "mirrored": CORNER @ Affine.scale(-0.1, -0.1),
    "rows go east": CORNER @ Affine(0, 1, 0, 1, 0, 0),
    "oblong": CORNER @ Affine.scale(0.1, -0.3),
    "degrees": Affine(1e-5 / 3, 0, 7.123456789012, 0, -1.3e-5, 50.3),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_map_lies_exactly_where_the_raster_lies(model_of, map_of, write_tiff, tmp_path, place) -> None:
    pixels = np.random.default_rng(5).integers(0, 200, (1, 40, 50), np.uint8)
    crs = "EPSG:4326" if place == "degrees" else "EPSG:32617"
    raster = write_tiff(tmp_path / "raster.tif", pixels, crs=crs, transform=PLACES[place])

    values = map_of(model_of(1), raster)

    np.testing.assert_array_equal(values, classes_of(pixels))
    with rasterio.open(raster) as given, rasterio.open(tmp_path / "maps" / "raster.tif") as made:
        assert given.transform.almost_equals(PLACES[place], 1e-9)
        assert (made.transform, made.crs) == (given.transform, given.crs)
