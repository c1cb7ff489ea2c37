"""Time of one window on each backend on a CPU, as ratios from one run, and how many pixels keep torch's class.

    python benchmarks/backends.py [--model FILE --raster FILE] [--window 512] [--repeats 3] [--only onnx "onnx int8"]

By default DeepLabV3-ResNet50 (random weights, six classes) on an invented raster; classes then lie so close together
that agreement says little. Each backend takes its turn in every repetition and its best time counts. Building comes
before and is printed by itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from invented.models import resnet50
from invented.rasters import write_raster

from geoseg.domain.ports import Predictor
from geoseg.domain.windows import Window
from geoseg.geodata.reading.rasters import open_raster
from geoseg.inference.quantisation import WindowPixels, class_agreement
from geoseg.learning.model_file import Model, read_model
from geoseg.workflows.mapping.backends import Int8Backend, build_int8_predictor, build_predictor
from geoseg.workflows.mapping.quantisation import Quantised, Sample, quantise_for, read_sample


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--raster", type=Path)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="backends beside torch; all by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raster = options.raster or write_raster(Path(folder) / "raster.tif", 1536)
        model = read_model(options.model) if options.model else resnet50()
        with open_raster(raster, bands=model.record.bands) as source:
            window, sample = source.read(Window(0, 0, options.window, options.window)), read_sample(source)
    predictors = _build(model, sample, options.only)
    best = dict.fromkeys(predictors, float("inf"))
    for _ in range(options.repeats + 1):
        for name, predictor in predictors.items():
            best[name] = min(best[name], _timed(predictor, window))
    for name, seconds in best.items():
        agreement = class_agreement(predictors["torch"], predictors[name], sample.compared)
        print(
            f"{name:14s} {seconds:7.3f} s a window, {best['torch'] / seconds:5.2f} times as fast as torch, "
            f"{100 * agreement:6.2f} % of the pixels have its class"
        )


def _build(model: Model, sample: Sample, only: list[str] | None) -> dict[str, Predictor]:
    exact = {"device": "cpu", "precision": "float32"}
    made = list[Quantised]()

    def int8(backend: Int8Backend) -> Predictor:
        if not made:
            made.append(quantise_for(model, sample))
        return build_int8_predictor(model, backend, made[0].network)

    builders: dict[str, Callable[[], Predictor]] = {
        "torch": lambda: build_predictor(model, "torch", **exact),
        "onnx": lambda: build_predictor(model, "onnx", **exact),
        "openvino": lambda: build_predictor(model, "openvino", **exact),
        "onnx int8": lambda: int8("onnx"),
        "openvino int8": lambda: int8("openvino"),
    }
    predictors = dict[str, Predictor]()
    for name in ["torch", *only] if only else builders:
        started = time.perf_counter()
        predictors[name] = builders[name]()
        print(f"{name:14s} ready after {time.perf_counter() - started:.0f} s", flush=True)
    return predictors


def _timed(predictor: Predictor, window: WindowPixels) -> float:
    started = time.perf_counter()
    predictor.probabilities(window[0][None], window[1][None])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
