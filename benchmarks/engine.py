"""Time and memory of the prediction engine, as ratios from one run.

    python benchmarks/engine.py [--network quick] [--side 2048] [--repeats 3] [--skip-loops] [--json FILE]
    python benchmarks/engine.py --memory [--network quick] [--sizes 2048x2048 8192x8192 50000x900]

The first maps an invented raster with an invented model (of the recipe quick with its default settings, a forest,
DeepLabV3-ResNet50, or one convolution). It compares the engine with all it writes; the bare network, in the same
runtime, on the windows that the engine sent it; and the loop that users write (the whole raster in memory, windows of
512 px that overlap by half, one after the other), in the same runtime and as an unchanged torch network in float32.
Engine and bare network take turns, and the fastest of each counts; each loop runs once. The seconds of all CPUs together
tell more on a machine that is busy. The second prints the peak
memory of whole processes that map rasters of some width and height on a CPU.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from invented import models
from invented.rasters import write_raster
from plain.loop import map_in_memory

from geoseg.domain.ports import NullProgress, Predictor
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.geodata.reading.validity import AS_DECLARED
from geoseg.inference.runtimes import RuntimePredictor
from geoseg.inference.threads import cpu_threads
from geoseg.learning.model_file import Model, pack_model
from geoseg.settings import PredictSettings
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.mapping.backends import build_default_predictor
from geoseg.workflows.mapping.predict import plan_for, predict
from geoseg.workflows.mapping.raster_map import Engine, MapJob, MapTask, map_raster
from geoseg.workflows.process_tuning import tune_process

NETWORKS: Mapping[str, Callable[[], Model]] = {
    "quick": models.quick,
    "forest": models.forest,
    "resnet50": models.resnet50,
    "one-convolution": models.one_convolution,
}
TORCH_NETWORKS = ("quick", "resnet50")
WARM_UP_PX = 512


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="quick")
    parser.add_argument("--side", type=int, default=2048, help="of the raster in pixels, at least 512")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3, help="turns of engine and bare network")
    parser.add_argument("--skip-float32", action="store_true", help="leave out the loop in torch")
    parser.add_argument("--skip-loops", action="store_true", help="leave out both loops")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--sizes", nargs="+", default=["2048x2048", "8192x8192"], help="width x height")
    parser.add_argument("--child", nargs=2, type=Path, metavar=("MODEL", "RASTER"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.child:
        _print_peak_memory(*options.child)
        return
    found = _memory(options) if options.memory else _times(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def _times(options: argparse.Namespace) -> dict[str, Any]:
    device = choose_device(options.device)
    model = NETWORKS[options.network]()
    predictor = build_default_predictor(model, device, choose_precision(options.precision, device))
    recorder = Recorder(predictor)
    engines, bares = list[Duration](), list[Duration]()
    with tempfile.TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "raster.tif", options.side)
        predictor.probabilities(
            np.zeros((1, models.BANDS, WARM_UP_PX, WARM_UP_PX), np.float32),
            np.ones((1, WARM_UP_PX, WARM_UP_PX), bool),
        )
        for _ in range(options.repeats):
            recorder.sent.clear()
            engines.append(timed(lambda: run_engine(raster, model, recorder, folder=Path(folder))))
            bares.append(timed(recorder.bare_network()))
        loops = _time_loops(options, model, predictor, raster=raster)
    engine, bare, mpx = min(engines), min(bares), options.side**2 / 1e6
    found: dict[str, Any] = {
        "network": options.network,
        "computed_by": f"{type(predictor).__name__} on {device}, {cpu_threads()} threads",
        "side_px": options.side,
        "engine_s_per_mpx": engine.wall_s / mpx,
        "bare_network_s_per_mpx": bare.wall_s / mpx,
        "engine_over_bare": engine.wall_s / bare.wall_s,
        "engine_cpu_s_per_mpx": engine.cpu_s / mpx,
        "bare_network_cpu_s_per_mpx": bare.cpu_s / mpx,
        "engine_over_bare_cpu": engine.cpu_s / bare.cpu_s,
        "pixels_computed_over_written": recorder.pixels / options.side**2,
        **{f"{name}_over_engine": loop.wall_s / engine.wall_s for name, loop in loops.items()},
    }
    for name, value in found.items():
        print(f"{name:42s} {f'{value:,.3f}' if isinstance(value, float) else value}")
    return found


def _time_loops(
    options: argparse.Namespace, model: Model, predictor: Predictor, *, raster: Path
) -> dict[str, Duration]:
    if options.skip_loops:
        return {}
    loops = {"loop_same_runtime": timed(lambda: map_in_memory(raster, predictor))}
    if options.network in TORCH_NETWORKS and not options.skip_float32:
        from plain.network import PlainNetwork

        network = PlainNetwork(model, choose_device(options.device))
        loops["loop_torch_float32"] = timed(lambda: map_in_memory(raster, network))
    return loops


class Recorder:
    """A predictor that keeps the shapes that it was sent, and the first window of each shape."""

    def __init__(self, predictor: Predictor) -> None:
        self.classes, self._predictor = predictor.classes, predictor
        self.sent = list[tuple[int, ...]]()
        self._windows = dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]]()

    def probabilities(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Predict, and record."""
        self.sent.append(pixels.shape)
        self._windows.setdefault(pixels.shape, (pixels, valid))
        return self._predictor.probabilities(pixels, valid)

    @property
    def pixels(self) -> int:
        """Number of pixels sent."""
        return sum(n * height * width for n, _, height, width in self.sent)

    def bare_network(self) -> Callable[[], None]:
        """Return a function that computes as many windows of the same shapes, and does nothing else.

        Where torch computes, it also normalises them.
        """
        own, compute, inputs = self._predictor, self._predictor.probabilities, dict(self._windows)
        if isinstance(own, RuntimePredictor):
            compute, inputs = own._compute, {s: (own._normalise(*w),) for s, w in inputs.items()}

        def run() -> None:
            for shape in self.sent:
                compute(*inputs[shape])

        return run


def run_engine(raster: Path, model: Model, predictor: Predictor, *, folder: Path) -> None:
    """Map a raster as ``geoseg predict`` does, with class map and confidence, into ``folder / "map.tif"``."""
    record = model.record
    files = {"class_map": folder / "map.tif", "confidence": folder / "confidence.tif"}
    engine = Engine(
        plan=plan_for(record, None),
        legend=record.legend,
        bands=record.bands,
        resolution_m=None,
        validity=AS_DECLARED,
        identity={},
        description={},
    )
    settings = PredictSettings(
        model=Path("invented"), rasters=(raster,), output=files["class_map"], overwrite=True
    )
    job = MapJob(MapTask(describe_raster(raster), files, replaces=True), engine, settings)
    map_raster(job, predictor, NullProgress())
    job.store.clear()


@dataclass(frozen=True, order=True)
class Duration:
    """How long work took on the clock, and on all CPUs together. The latter hardly depends on other processes."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Duration:
    """Return how long work takes."""
    started = time.perf_counter(), time.process_time()
    work()
    return Duration(time.perf_counter() - started[0], time.process_time() - started[1])


def _memory(options: argparse.Namespace) -> dict[str, float]:
    found = dict[str, float]()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), NETWORKS[options.network]()
        path = folder / "model.geoseg"
        path.write_bytes(pack_model(model.network, model.record))
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            raster = write_raster(folder / f"{size}.tif", width, height)
            command = [sys.executable, __file__, "--child", str(path), str(raster)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[f"{options.network} {size}"] = float(answer.stdout)
            print(
                f"{options.network:16s} {size:>12s} px: {float(answer.stdout):,.0f} MiB at the most",
                flush=True,
            )
    return found


def _print_peak_memory(model: Path, raster: Path) -> None:
    tune_process()
    folder = raster.parent
    predict(
        PredictSettings(
            model=model,
            rasters=(raster,),
            output=folder / "map.tif",
            confidence=folder / "confidence.tif",
            device="cpu",
            overwrite=True,
        )
    )
    # getrusage would count the memory of the parent before exec as well.
    [peak_kib] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    print(int(peak_kib) / 1024)


if __name__ == "__main__":
    main()
