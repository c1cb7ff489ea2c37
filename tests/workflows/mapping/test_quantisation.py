"""A map in int8 is made by one network: fitted to the first raster, kept over a stop, named when it is another."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from geoseg.domain.mapping.prediction import plan_windows
from geoseg.errors import RasterError, SettingsError, StoppedError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.reading.rasters import describe_raster, open_raster
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.engines import build_engine, rebuild_predictor
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.mapping.quantisation import read_sample
from geoseg.workflows.mapping.raster_map import MapJob, MapTask, map_raster


class Notes:
    """Progress that remembers what was said, and stops the work after some windows."""

    def __init__(self, windows: int = -1) -> None:
        self.left, self.said = windows, list[str]()

    def start(self, what: str, total: int) -> None: ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.left -= steps
        if self.left == 0:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


def settings(model, raster, output, **options) -> PredictSettings:
    chosen = {"device": "cpu", "precision": "int8", "backend": "onnx", "window": 64}
    return PredictSettings(model=model, rasters=(raster,), output=output, **{**chosen, **options})


@pytest.fixture
def tall(dataset, write_tiff, tmp_path):
    """The raster that is held out, three times from north to south."""
    with rasterio.open(dataset / "images" / "north.tif") as source:
        return write_tiff(tmp_path / "in" / "tall.tif", np.tile(source.read(), (1, 3, 1)), nodata=0)


def sample_of(path):
    with open_raster(path) as source:
        return read_sample(source)


def test_a_sample_is_spread_over_the_raster_and_a_third_is_kept_for_the_comparison(write_tiff, tmp_path):
    pixels = np.arange(1, 9, dtype=np.uint8).repeat(200)[None, None].repeat(300, axis=1)
    path = write_tiff(tmp_path / "wide.tif", pixels, nodata=1)
    sample = sample_of(path)
    # 1,600 px hold five windows, at 0, 320, 672, 992 and 1344; the first has 56 of 256 columns that are valid.
    assert [w[0][0, 0, 0] for w in sample.fitted] == [2, 4, 7]
    assert [w[0][0, 0, 0] for w in sample.compared] == [5]
    assert all(p.shape == (1, 256, 256) and v.shape == (256, 256) for p, v in sample.fitted)


def test_a_small_raster_is_one_window_for_both(raster):
    sample = sample_of(raster)
    assert sample.fitted is sample.compared
    ((pixels, valid),) = sample.fitted
    assert pixels.shape == (3, 96, 96)
    assert not valid[:12, :20].any()


def test_a_raster_without_a_valid_pixel_cannot_be_fitted_to(write_tiff, tmp_path):
    path = write_tiff(tmp_path / "empty.tif", np.zeros((3, 40, 40), np.uint8), nodata=0)
    with pytest.raises(
        RasterError, match=r"empty\.tif: no valid pixel was found for the int8 calibration; .*|--precision"
    ):
        sample_of(path)


@pytest.mark.slow
def test_a_stopped_map_goes_on_with_the_network_it_was_begun_with_or_is_refused(small, tall, tmp_path):
    plan, path = plan_windows(64, 64), tmp_path / "map.tif"
    task = MapTask(describe_raster(tall), {"class_map": path}, replaces=False)

    def run(notes, **options):
        chosen = settings("", tall, path, **options)
        engine, predictor = build_engine(chosen, small, [task], plan=plan, progress=notes)
        map_raster(MapJob(task, engine, chosen), predictor, notes)
        return engine

    first, again = Notes(windows=6), Notes()
    with pytest.raises(StoppedError):
        run(first)
    identity = tmp_path / "map.tif.parts" / "run.json"
    begun = json.loads(identity.read_text())
    for name in ("quantised_by", "quantised_network"):
        identity.write_text(json.dumps({**begun, name: "another"}))
        with pytest.raises(
            SettingsError, match=r"different int8 network.*expected another; got .*--overwrite"
        ):
            run(Notes())
    identity.write_text(json.dumps(begun))
    # Backend and precision are those it was begun with; nothing is fitted again.
    engine = run(again, backend="auto", precision="auto")
    assert sum(text.startswith("int8: ") for text in first.said) == 1
    assert not any(text.startswith("int8: ") for text in again.said)
    assert any("resuming" in text for text in again.said)
    pixels, valid = sample_of(tall).fitted[0]
    on_worker = rebuild_predictor(small, dict(tuple(engine.identity.items())))
    assert on_worker.probabilities(pixels[None], valid[None]).shape == (1, 3, *valid.shape)
    hash(tuple(engine.identity.items()))  # Workers keep their predictor by it.


@pytest.mark.slow
def test_a_map_in_int8_has_nearly_the_classes_of_float32_and_says_how_nearly(model, tall, tmp_path):
    path, exact, notes = tmp_path / "map.tif", tmp_path / "exact.tif", Notes()
    predict(settings(model, tall, path), notes)
    predict(settings(model, tall, exact, backend="torch", precision="float32"))
    same = (read_class_map(path)[0] == read_class_map(exact)[0]).mean()
    # How near int8 comes depends on the processor: without VNNI its sums of 16 bits saturate.
    assert same >= 0.8
    # A raster of 288 x 96 px is one window.
    (said,) = (text for text in notes.said if text.startswith("int8: "))
    share, rest = said.removeprefix("int8: ").split(" ", 1)
    assert rest == "% of the pixels in a window have the same class as in float32"
    assert float(share) / 100 == pytest.approx(same, abs=0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"backend": "torch"},
            r"--backend: this backend does not support int8; expected onnx, openvino or auto; got torch\.",
        ),
        ({"backend": "torch"}, r"got torch\. Use --backend auto"),
    ],
)
def test_a_backend_without_int8_is_refused_with_those_that_have_it(model, raster, tmp_path, options, said):
    with pytest.raises(SettingsError, match=said):
        predict(settings(model, raster, tmp_path / "map.tif", **options))
