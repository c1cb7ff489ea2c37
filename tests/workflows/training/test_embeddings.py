"""Embeddings of each format, from points to the scores of the map; versions and datasets that must not be mixed."""

import json

import numpy as np
import pytest
import rasterio
from tests.embeddings import formats, vectors

from geoseg.inference.runtimes import onnx_runtime
from geoseg.learning.model_file import read_model
from geoseg.workflows.mapping.live import Batching, load_into_memory, map_image
from geoseg.workflows.service_files import most_bands_of_file

SIDE = 128


@pytest.fixture(scope="module")
def mask():
    return vectors.regions(SIDE, SIDE)


@pytest.fixture(scope="module")
def holes():
    found = np.zeros((SIDE, SIDE), bool)
    found[:5, :20] = True
    return found


@pytest.fixture(scope="module")
def alpha(mask, holes):
    return formats.alpha_earth_integers(vectors.unit(vectors.linear(mask, 64, noise=0.8)), holes)


@pytest.fixture(scope="module")
def tessera(mask, holes):
    return formats.tessera_integers(vectors.linear(mask, 128, noise=0.8), holes)


@pytest.fixture
def points(mask, tmp_path):
    return vectors.write_points(tmp_path / "points.gpkg", mask, 12)


@pytest.fixture
def train(geoseg, points, tmp_path):
    """Train on a raster, or on a stack, and return the model file and what was said."""

    def run(*rasters, head="knn"):
        model = tmp_path / "model.geoseg"
        given = rasters if len(rasters) == 1 else ("--stack", *rasters)
        options = ("--points", points, "-o", model, "--head", head, "--patch", 64, "--overwrite")
        found = geoseg("train", *options, *given)
        assert found.code == 0, found.err
        return model, found

    return run


def write(kind, tmp_path, alpha, tessera, holes):
    """Write the embeddings in a format; return the files and the values (B, H, W)."""
    stored, scales = tessera
    decoded = formats.alpha_earth_values(alpha), stored * np.nan_to_num(scales)
    files = {
        "alpha earth": lambda: [formats.write_alpha_earth(tmp_path / "a.tif", alpha)],
        "pair": lambda: [formats.write_tessera_pair(tmp_path / "t.tif", stored, scales)],
        "tile": lambda: [formats.write_tessera_tile(tmp_path, stored, scales)],
        "zarr": lambda: [formats.write_tessera_zarr(tmp_path / "t.zarr", stored, scales)],
        "both": lambda: (
            write("alpha earth", tmp_path, alpha, tessera, holes)[0]
            + write("pair", tmp_path, alpha, tessera, holes)[0]
        ),
    }[kind]()
    values = {"alpha earth": decoded[0], "both": np.concatenate(decoded)}.get(kind, decoded[1])
    return files, values


def assert_maps_as_computed(geoseg, model, files, values, holes, mask, tmp_path):
    """The map is what the head gives for the decoded array, and scores well at other points."""
    given = files if len(files) == 1 else ("--stack", *files)
    found = geoseg("predict", model, *given, "-o", tmp_path / "map.tif", "--window", 64, "--overwrite")
    assert found.code == 0, found.err
    with rasterio.open(tmp_path / "map.tif") as dataset:
        mapped = dataset.read(1)
        assert dataset.transform == vectors.NORTH_UP
    direct = onnx_runtime(read_model(model).onnx, 1)(values[None].astype(np.float32))[0].argmax(axis=0)
    assert np.array_equal(mapped == 255, holes)
    assert np.array_equal(mapped[~holes], direct[~holes])
    check = vectors.write_points(tmp_path / "check.gpkg", mask, 40, seed=7)
    map_scores = geoseg(
        "evaluate", tmp_path / "map.tif", "--points", check, "--allow-training-points", "--json"
    )
    assert json.loads(map_scores.out)["overall_accuracy"] > 0.9


@pytest.mark.parametrize(
    "kind",
    [
        "alpha earth",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("pair", "tile", "zarr", "both")),
    ],
)
def test_each_format_is_mapped_from_end_to_end(geoseg, train, tmp_path, alpha, tessera, holes, mask, kind):
    files, values = write(kind, tmp_path, alpha, tessera, holes)
    model, found = train(*files)
    assert "Validation by place: overall accuracy" in found.out
    assert_maps_as_computed(geoseg, model, files, values, holes, mask, tmp_path)


@pytest.mark.slow
def test_a_model_maps_the_same_ground_whichever_way_up_the_file_is_stored(
    geoseg, train, tmp_path, alpha, holes, mask
):
    """A bottom-up file, a top-down copy, the virtual raster and the exported values give one map."""
    bottom_up = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    values = formats.alpha_earth_values(alpha)
    model, _ = train(bottom_up)
    for path in (
        formats.write_alpha_earth(tmp_path / "b.tif", alpha, is_bottom_up=False),
        formats.write_vrt(tmp_path / "a.vrt", bottom_up),
        formats.write_earth_engine_floats(
            tmp_path / "c.tif", np.where(holes, np.nan, values).astype(np.float32)
        ),
    ):
        assert_maps_as_computed(geoseg, model, [path], values, holes, mask, tmp_path)


def test_embeddings_are_served_with_as_many_bands_as_in_training(train, tmp_path, alpha, holes):
    path = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    model, _ = train(path)
    assert most_bands_of_file(model, 16) == 64
    live = load_into_memory(model, device="cpu", precision="float32", backend=None, sharing=Batching())
    try:
        found = map_image(path, live)
    finally:
        live.close()
    assert np.array_equal(found.class_ids == 255, holes)


def test_versions_are_never_mixed(geoseg, train, points, tmp_path, tessera):
    new, old, unknown = (
        formats.write_tessera_pair(tmp_path / folder / "t.tif", *tessera, version=version)
        for folder, version in (("new", "1.1"), ("old", "v1"), ("unknown", None))
        if (tmp_path / folder).mkdir() is None
    )
    model, _ = train(new)
    assert read_model(model).record.feature_space.version == "1.1"

    found = geoseg("predict", model, old, "-o", tmp_path / "map.tif")

    assert found.code != 0
    assert "holds other features than the model was trained on" in found.err
    assert "expected Tessera 1.1 cambridge, 128 bands" in found.err
    assert "got Tessera 1.0 cambridge, 128 bands" in found.err
    found = geoseg("predict", model, unknown, "-o", tmp_path / "map.tif")
    assert found.code == 0, found.err
    assert "come from the same network and version" in found.err
    both = tmp_path / "both"
    for source in (new, old):
        both.mkdir(exist_ok=True)
        for file in source.parent.iterdir():
            (both / f"{source.parent.name}{file.name.removeprefix('t')}").write_bytes(file.read_bytes())
    found = geoseg("train", both, "--points", points, "-o", tmp_path / "m.geoseg")
    assert found.code != 0
    assert "the rasters hold different features" in found.err


def test_embeddings_are_recognised_without_an_option(geoseg, train, tmp_path, alpha):
    path = formats.write_alpha_earth(tmp_path / "a.tif", alpha)
    assert "feature_space: AlphaEarth, 64 bands" in geoseg("info", path).out
    model, _ = train(path, head="logistic")
    record = read_model(model).record
    assert (record.recipe, record.architecture.extractor) == ("bands", "bands")
    assert record.strict_nodata
