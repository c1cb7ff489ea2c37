"""The report of a model and its map: what the page holds, and bad inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import OutputError, SettingsError
from geoseg.geodata.outputs.map_overviews import read_map_overview
from geoseg.settings import PredictSettings, TrainSettings
from geoseg.settings.reports import ReportSettings
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.report.report import report
from geoseg.workflows.training.train import train

pytestmark = pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory, dataset, raster, points, light) -> Path:
    """A folder with a forest of the shared raster and its map with unsure pixels."""
    folder = tmp_path_factory.mktemp("report")
    options = {name: light[name] for name in ("patch", "device", "precision")}
    train(
        TrainSettings(
            data=dataset, points=points, recipe="forest", output=folder / "m.geoseg", seed=3, **options
        )
    )
    predict(
        PredictSettings(model=folder / "m.geoseg", rasters=(raster,), output=folder / "map.tif", abstain=0.6)
    )
    return folder


def test_the_page_tells_data_method_map_accuracy_confidence_and_commands(made, raster):
    sample = {"estimate": 0.875, "half_width": 0.05}
    estimate = {"overall": sample, "users": {"wood": sample}, "producers": {"wood": sample}, "area_ha": {}}
    (made / "estimate.json").write_text(json.dumps(estimate))
    audit = {
        "total": 9,
        "used": {"total": 7},
        "dropped": {"by_reason": {"on <nodata>": 2}},
        "suspicious_labels": {"suspicious": 1, "checked": 7},
    }
    (made / "audit.json").write_text(json.dumps(audit))
    settings = ReportSettings(
        model=made / "m.geoseg",
        class_map=made / "map.tif",
        output=made / "report.html",
        raster=raster,
        audit=made / "audit.json",
        estimate=made / "estimate.json",
    )
    page = report(settings).read_text()
    assert "<td>wood</td><td>87.5 ± 5.0</td><td>87.5 ± 5.0</td><td>-</td>" in page
    assert "<td>on &lt;nodata&gt;</td><td>2</td>" in page
    assert "Suspicious labels: 1 of 7" in page
    assert "Expected calibration error at the validation points" in page
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("https://doi", "")
    assert "--recipe forest" in page
    assert "--seed 3" in page
    pixels = read_map_overview(made / "map.tif").areas.pixels
    assert f"<td>unsure</td><td>{pixels[254]:,}</td>" in page
    with pytest.raises(OutputError, match="exists"):
        report(settings)


def test_the_picture_of_a_large_map_has_every_nth_pixel(write_tiff, tmp_path):
    values = np.arange(600 * 500).reshape(600, 500).astype(np.uint8) % 3
    found = read_map_overview(write_tiff(tmp_path / "m.tif", values), most_px=200)
    assert np.array_equal(found.picture, values[::3, ::3])
    assert found.areas.pixels[:3].sum() == 600 * 500


def test_a_json_file_of_another_command_is_refused(made):
    (made / "other.json").write_text("{}")
    settings = ReportSettings(
        model=made / "m.geoseg",
        class_map=made / "map.tif",
        output=made / "new.html",
        estimate=made / "other.json",
    )
    with pytest.raises(SettingsError, match="of another kind; expected the output of geoseg assess estimate"):
        report(settings)


def test_a_map_of_other_classes_is_refused(made, write_tiff):
    other = write_tiff(made / "other.tif", np.zeros((4, 4), np.uint8))
    settings = ReportSettings(model=made / "m.geoseg", class_map=other, output=made / "new.html")
    with pytest.raises(SettingsError, match="does not have the classes of the model"):
        report(settings)
