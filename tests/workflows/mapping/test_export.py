"""An exported model carries what the QGIS plugin Deepness reads, and gives the product's probabilities."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from geoseg.errors import OutputError, SettingsError
from geoseg.learning.model_file import read_model
from geoseg.settings import ExportSettings
from geoseg.workflows.mapping.backends import build_predictor
from geoseg.workflows.mapping.export import export


@pytest.mark.slow
def test_a_program_that_standardises_by_the_metadata_gets_the_same_probabilities(
    geoseg, model, classes, tmp_path
):
    path = tmp_path / "model.onnx"
    outcome = geoseg("export", model, "-o", path, "--tile", "96")
    assert (outcome.code, outcome.out) == (0, f"{model} -> {path}\n")

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert found["model_type"] == "Segmentor"
    assert found["class_names"] == {str(c.id): c.name for c in classes.classes}
    assert found["resolution"] == 100
    assert found["tiles_size"] == 96
    assert 0 < found["tiles_overlap"] <= 90
    tile = np.random.default_rng(0).integers(1, 255, (1, 3, 96, 96), np.uint8)
    mean, deviation = (np.array(found[f"standardization_{k}"])[:, None, None] for k in ("mean", "std"))
    images = ((tile / 255 - mean) / deviation).astype(np.float32)
    (probabilities,) = session.run(None, {"images": images})
    exact = build_predictor(read_model(model), "torch", device="cpu", precision="float32")
    expected = exact.probabilities(tile.astype(np.float32), np.ones((1, 96, 96), bool))
    # Its pixels are rounded otherwise, and logits here are steep: a mean off by a hundredth changes some by 1.
    np.testing.assert_allclose(probabilities, expected, atol=3e-2)


def test_an_existing_file_and_an_odd_tile_are_refused(model, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(SettingsError, match="expected a multiple of 32; got 100"):
        export(ExportSettings(model=model, output=path, tile=100))
    path.touch()
    with pytest.raises(OutputError, match="--overwrite"):
        export(ExportSettings(model=model, output=path))
    assert path.read_bytes() == b""
    path.write_text("a network of somebody else")
    with pytest.raises(OutputError, match="not replaced"):
        export(ExportSettings(model=model, output=path, overwrite=True))
