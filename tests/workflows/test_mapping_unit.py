"""The minimum mapping unit of a raster's map, its polygons and its areas."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from scipy import ndimage

from geoseg.domain.ports import NullProgress
from geoseg.errors import StoppedError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.predict import predict

pytestmark = pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")


class Heard(NullProgress):
    """Progress that remembers what was said, and may stop the work after some windows."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.said, self.left = list[str](), stop_at

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self.left is not None:
            self.left -= steps
            if self.left == 0:
                raise KeyboardInterrupt


def settings(model, raster, output, **options) -> PredictSettings:
    exact = {"device": "cpu", "precision": "float32", "window": 64}
    return PredictSettings(model=model, rasters=(raster,), output=output, **{**exact, **options})


@pytest.fixture(scope="module")
def as_predicted(model, patchy, tmp_path_factory):
    """The class ids of a raster, as no region is merged."""
    path = tmp_path_factory.mktemp("plain") / "map.tif"
    predict(settings(model, patchy, path))
    return read_class_map(path)[0]


@pytest.fixture(scope="module")
def patchy(write_tiff, tmp_path_factory):
    """A raster of nine strips with a hole, and lines of nodata that leave pieces of any size."""
    rng = np.random.default_rng(9)
    blocks = rng.integers(1, 255, (3, 144, 16), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    blocks[:, 100:140, 20:40] = blocks[:, ::4, 4:] = 0
    return write_tiff(tmp_path_factory.mktemp("patchy") / "patchy.tif", blocks, nodata=0)


def sizes_of_regions(class_ids) -> list[int]:
    labels = [ndimage.label(class_ids == k)[0] for k in np.unique(class_ids[class_ids != 255])]
    return [int(size) for found in labels for size in np.bincount(found.ravel())[1:]]


def test_by_default_small_regions_are_merged_in_the_polygons_alone(
    model, patchy, as_predicted, tmp_path
) -> None:
    said = Heard()
    (result,) = predict(settings(model, patchy, tmp_path / "map.tif", also=("polygons",)), said)
    class_ids = read_class_map(tmp_path / "map.tif")[0]
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="classes")
    assert min(sizes_of_regions(as_predicted)) < 10
    assert np.array_equal(class_ids, as_predicted)
    assert result.pixels == {int(k): int((class_ids == k).sum()) for k in np.unique(class_ids)}
    # They leave no gaps and do not overlap.
    assert table["pixels"].min() >= 10
    assert table["pixels"].sum() == (class_ids != 255).sum()
    assert table.geometry.area.sum() == table.geometry.union_all().area == (class_ids != 255).sum()
    assert "map.tif: in the polygons alone, regions under 10 pixels are merged into a neighbour" in said.said


def test_a_minimum_area_merges_in_every_file_alike(model, patchy, as_predicted, tmp_path) -> None:
    files = {"also": ("polygons", "areas"), "confidence": tmp_path / "sure.tif"}
    said = Heard()
    (result,) = predict(settings(model, patchy, tmp_path / "map.tif", min_area=39.5, **files), said)
    class_ids, info, _ = read_class_map(tmp_path / "map.tif")
    assert np.array_equal(class_ids == 255, as_predicted == 255)
    assert min(sizes_of_regions(class_ids)) >= 40
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="classes")
    painted = rasterize(
        zip(table.geometry, table["class_id"], strict=True), class_ids.shape, transform=info.affine, fill=255
    )
    assert np.array_equal(painted, class_ids)
    assert sorted(table["pixels"]) == sorted(sizes_of_regions(class_ids))
    assert result.pixels == {int(k): int((class_ids == k).sum()) for k in np.unique(class_ids)}
    records = json.loads((tmp_path / "map.areas.json").read_text())["classes"]
    assert [r["pixels"] for r in records] == [int((class_ids == r["id"]).sum()) for r in records]
    assert "map.tif: regions under 39.5 m2 (40 pixels) are merged into a neighbour" in said.said
    # The confidence is the predicted class's, whatever a pixel is merged into.
    predict(settings(model, patchy, tmp_path / "b.tif", confidence=tmp_path / "b-sure.tif"))
    with rasterio.open(tmp_path / "sure.tif") as one, rasterio.open(tmp_path / "b-sure.tif") as other:
        assert np.array_equal(one.read(1), other.read(1))


def test_a_minimum_area_of_0_merges_nothing(model, patchy, as_predicted, tmp_path) -> None:
    predict(settings(model, patchy, tmp_path / "map.tif", also=("polygons",), min_area=0))
    assert np.array_equal(read_class_map(tmp_path / "map.tif")[0], as_predicted)
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="classes")
    assert sorted(table["pixels"]) == sorted(sizes_of_regions(as_predicted))


def test_a_stopped_map_goes_on_with_another_minimum_area(model, patchy, tmp_path) -> None:
    path, whole = tmp_path / "map.tif", tmp_path / "whole.tif"
    with pytest.raises(StoppedError):
        predict(settings(model, patchy, path, min_area=20), Heard(stop_at=9))
    again = Heard()
    predict(settings(model, patchy, path, min_area=60), again)
    assert any("resuming" in line for line in again.said)
    predict(settings(model, patchy, whole, min_area=60))
    assert np.array_equal(read_class_map(path)[0], read_class_map(whole)[0])
