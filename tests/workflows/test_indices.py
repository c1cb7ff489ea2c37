"""Spectral indices: computed from the bands wherever a model is trained or used."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geoseg.errors import ModelFileError, SettingsError
from geoseg.learning.model_file import read_record
from geoseg.settings import EvaluateSettings, ExportSettings, PredictSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.info import info
from geoseg.workflows.mapping.export import export
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.training.train import train

# Few points: these warnings are not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Fewer than 30 points can be held out"),
    pytest.mark.filterwarnings("ignore:The forest has"),
]


@pytest.fixture
def settings(dataset, points, light, cheap, tmp_path):
    def make(recipe="quick", **options):
        own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg", "recipe": recipe}
        return TrainSettings(**{**(cheap if recipe == "pfce" else light), **own, **options})

    return make


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["quick", "deep", "forest", "pfce"])
def test_every_recipe_reads_them_and_every_verb_takes_the_model(settings, dataset, tmp_path, recipe):
    result = train(settings(recipe=recipe, bands=(3, 1), indices=((1, 3), (3, 1)), epochs=1))

    record = read_record(result.model)
    assert (record.bands, record.normalisation.indices) == ((3, 1), ((1, 0), (0, 1)))
    assert record.architecture.bands == 4
    one, other = record.normalisation.mean[2:]
    assert one == pytest.approx(-other)
    assert -1 < one < 1
    assert evaluate(EvaluateSettings(subject=result.model, data=dataset)).accuracy.overall_accuracy > 0
    raster = dataset / "images" / "north.tif"
    [mapped] = predict(PredictSettings(model=result.model, rasters=(raster,), output=tmp_path / "map.tif"))
    with rasterio.open(mapped.class_map) as file:
        assert set(np.unique(file.read(1))) <= {0, 1, 2, 255}


@pytest.fixture
def lit(tmp_path):
    """Land of two classes whose bands differ in brightness from place to place, by one index alone in class."""
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 2, (16, 16)), np.ones((12, 12), int))
    light = np.kron(np.exp(rng.uniform(0, 3, (24, 24))), np.ones((8, 8)))
    ratio = np.where(truth == 1, 2.0, 1.4)
    red, infrared = 10 * light, 10 * light * ratio
    path = tmp_path / "lit.tif"
    profile = {"driver": "GTiff", "height": 192, "width": 192, "count": 2, "dtype": "float32"}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(1, 0, 0, 0, -1, 192)) as file:
        file.write(np.stack([red, infrared]).astype(np.float32))
    rows, cols = rng.integers(0, 192, (2, 200))
    labels = np.where(truth[rows, cols] == 1, "wood", "field")
    lines = [f"{col + 0.5},{191.5 - row},{label}" for row, col, label in zip(rows, cols, labels, strict=True)]
    points = tmp_path / "lit.csv"
    points.write_text("\n".join(["x,y,class", *lines]) + "\n")
    return path, points, truth


@pytest.mark.filterwarnings("ignore:.*has no CRS")
@pytest.mark.slow
def test_an_index_tells_apart_what_light_and_shade_hide(lit, tmp_path, all_trees):
    raster, points, truth = lit
    right = {}
    for name, indices in {"bands": (), "index": ((2, 1),)}.items():
        own = {"data": raster, "points": points, "output": tmp_path / f"{name}.geoseg", "recipe": "forest"}
        trained = train(TrainSettings(**own, indices=indices, prior="none"))
        [mapped] = predict(
            PredictSettings(model=trained.model, rasters=(raster,), output=tmp_path / f"{name}.tif")
        )
        with rasterio.open(mapped.class_map) as file:
            found = file.read(1)
        wood = read_record(trained.model).legend.names.index("wood")
        right[name] = float(((found == wood) == (truth == 1)).mean())
    assert right["index"] > 0.95
    assert right["index"] > right["bands"] + 0.05


def test_info_names_the_bands_of_each_index(settings):
    result = train(settings(recipe="forest", bands=(3, 1), indices=((1, 3),)))
    assert info(result.model)["indices"] == [[1, 3]]


def test_an_index_of_bands_that_are_not_used_is_refused(settings):
    with pytest.raises(SettingsError, match=r"--indices.*expected bands among 1, 2; got 3, 9.*--bands"):
        train(settings(bands=(1, 2), indices=((3, 1), (9, 2))))


@pytest.mark.parametrize("text", ["4", "4-1-2", "4-", "0-1", "a-b", "4/1", "2-2"])
def test_what_is_no_pair_of_bands_is_refused(settings, text):
    with pytest.raises(SettingsError, match="indices"):
        settings(indices=(text,))


def test_a_model_with_indices_is_not_exported(settings, tmp_path):
    result = train(settings(bands=(1, 2, 3), indices=((1, 3),)))
    with pytest.raises(ModelFileError, match=r"m\.geoseg.*indices|indices.*m\.geoseg"):
        export(ExportSettings(model=result.model, output=tmp_path / "m.onnx"))
    assert not (tmp_path / "m.onnx").exists()
