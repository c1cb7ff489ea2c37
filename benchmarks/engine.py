"""Time and memory of the prediction engine, as ratios from one run.

    python benchmarks/engine.py [--side 2048] [--precision auto] [--repeats 3] [--skip-loops] [--json FILE]
    python benchmarks/engine.py --memory [--sizes 2048x2048 8192x8192 50000x900]

The first compares, with DeepLabV3-ResNet50 (random weights, six classes) on an invented raster: the engine with all it
writes; the bare network on the windows that the engine sent it; and the loop that users write (the whole raster in
memory, windows of 512 px that overlap by half, one after the other) in the same precision and in float32. Engine and
bare network take turns, and the fastest of each counts; each loop runs once. The second
prints the peak memory of whole processes that map rasters of some width and height, with that network (up to 8192 x
8192 px) and with one convolution.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.windows import Window as Box
from torch import nn
from torch.nn import functional

from geoseg.domain.legend import legend_from_names
from geoseg.domain.mapping.prediction import predict_strips
from geoseg.domain.ports import NullProgress, Predictor
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.reading.rasters import open_raster
from geoseg.learning.calibration import Calibration
from geoseg.learning.normalisation import Normalisation
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.networks.models.deeplab import Architecture, build_network
from geoseg.learning.model_file import Model, ModelRecord
from geoseg.networks.prediction.torch_predictor import TorchPredictor
from geoseg.workflows.mapping.predict import plan_for

LEGEND = legend_from_names(["background", "building", "road", "bare land", "forest", "water"])
CONTEXT_PX = 64
WINDOW_PX = 512
_MOST_PX_OF_RESNET = 8192 * 8192


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["2048x2048", "8192x8192", "32768x32768"],
        help="width x height in pixels",
    )
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=1, help="turns of engine and bare network")
    parser.add_argument("--skip-float32", action="store_true", help="leave out the slowest row")
    parser.add_argument("--skip-loops", action="store_true", help="leave out both loops")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("NETWORK", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.child:
        _measure_memory(*options.child)
        return
    found = _memory(options.sizes) if options.memory else _times(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def _times(options: argparse.Namespace) -> dict[str, float]:
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    model = build_model("resnet50")
    with tempfile.TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "raster.tif", options.side)
        predictor = Recorded(model, device, precision)
        predictor.probabilities(np.zeros((1, 3, 512, 512), np.float32), np.ones((1, 512, 512), bool))
        engines, bares, same, plain = list[float](), list[float](), math.nan, math.nan
        for _ in range(options.repeats):
            predictor.shapes.clear()
            engines.append(_timed(lambda: _run_engine(raster, predictor, Path(folder))))
            bares.append(_timed(predictor.run_bare))
        if not options.skip_loops:
            same = _timed(lambda: _naive_loop(raster, TorchPredictor(model, device, precision)))
        if not (options.skip_loops or options.skip_float32):
            plain = _timed(lambda: _naive_loop(raster, Plain(model, device)))
    engine, bare = min(engines), min(bares)
    computed = sum(n * h * w for n, _, h, w in predictor.shapes)
    found = {
        "side_px": options.side,
        "precision": precision,
        "engine_s": engine,
        "bare_network_s": bare,
        "engine_over_bare": engine / bare,
        "pixels_computed_over_written": computed / options.side**2,
        "plain_loop_same_precision_over_engine": same / engine,
        "plain_loop_float32_over_engine": plain / engine,
        "seconds_per_1e9_px": engine / options.side**2 * 1e9,
    }
    for name, value in found.items():
        print(f"{name:42s} {value if isinstance(value, str) else f'{value:,.3f}'}")
    return found


class Recorded(TorchPredictor):
    """A predictor that remembers the shapes it was sent."""

    def __init__(self, model: Model, device: str, precision: str) -> None:
        super().__init__(model, device, precision)
        self.shapes = list[tuple[int, ...]]()

    def probabilities(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Predict, and remember."""
        self.shapes.append(pixels.shape)
        return super().probabilities(pixels, valid)

    @torch.inference_mode()
    def run_bare(self) -> None:
        """Run the network alone on windows of the same shapes."""
        kinds = {shape: torch.randn(shape, device=self._device) for shape in set(self.shapes)}
        images = {k: v.to(memory_format=torch.channels_last) for k, v in kinds.items()}
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_bf16):
            for shape in self.shapes:
                self._network(images[shape])
        if self._device.type == "cuda":
            torch.cuda.synchronize()


class Plain:
    """The network as scripts call it: float32, channels first, no autocast."""

    def __init__(self, model: Model, device: str) -> None:
        self._record, self._device = model.record, torch.device(device)
        self._network = model.network.to(self._device, memory_format=torch.contiguous_format)

    @torch.no_grad()
    def probabilities(self, pixels: np.ndarray, _valid: np.ndarray) -> np.ndarray:
        """Predict."""
        images = torch.from_numpy(pixels).to(self._device)
        mean, deviation = (
            images.new_tensor(values)[:, None, None]
            for values in (self._record.normalisation.mean, self._record.normalisation.deviation)
        )
        logits = self._network((images - mean) / deviation)
        full = functional.interpolate(logits.float(), pixels.shape[-2:], mode="bilinear", align_corners=False)
        return full.softmax(dim=1).cpu().numpy()


class OneConvolution(nn.Module):
    """The cheapest network that has logits."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, len(LEGEND), 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits at an eighth of the resolution."""
        return self.convolution(functional.avg_pool2d(images, 8))


def build_model(kind: str, *, output_stride: int = 8) -> Model:
    """Return DeepLabV3-ResNet50 ("resnet50") or one convolution, with random weights and six classes."""
    torch.manual_seed(0)
    architecture = Architecture("resnet50", 3, len(LEGEND), 256, output_stride)
    network = build_network(architecture) if kind == "resnet50" else OneConvolution()
    normal = Normalisation((120.0,) * 3, (50.0,) * 3)
    record = ModelRecord(
        "pfce", architecture, LEGEND, (1, 2, 3), "uint8", normal, 0.5, {}, Calibration(), CONTEXT_PX
    )
    return Model(network.eval(), record)


def write_raster(path: Path, width: int, height: int | None = None) -> Path:
    """Write an invented orthophoto, square unless a height is given: blocks of 16 px in random colours."""
    height = height or width
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000)}
    shape = {"count": 3, "height": height, "width": width, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", driver="GTiff", **place, **shape, **tiles) as dataset:
        for top in range(0, height, 512):
            rows = min(512, height - top)
            coarse = rng.integers(30, 220, (3, -(-rows // 16), -(-width // 16)), np.uint8)
            fine = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :rows, :width]
            dataset.write(fine, window=Box(0, top, width, rows))
    return path


def _run_engine(raster: Path, predictor: TorchPredictor, folder: Path) -> None:
    model = predictor._record
    store = StripStore(folder / "map.tif")
    store.begin(overwrite=True)
    with open_raster(raster) as source:
        count = 0
        for strip in predict_strips(source, predictor, plan_for(model, None), progress=NullProgress()):
            store.write(strip)
            count += 1
        with (
            class_map_writer(folder / "map.tif", source.info, LEGEND, overwrite=True) as class_map,
            confidence_writer(folder / "sure.tif", source.info, overwrite=True) as confidence,
        ):
            for strip in store.strips(count):
                class_map.write(strip.window, strip.class_ids)
                confidence.write(strip.window, strip.confidence)
    store.clear()


def _naive_loop(raster: Path, predictor: Predictor) -> None:
    """Predict as scripts do: all pixels in memory, all scores in memory, half of every window thrown away."""
    with rasterio.open(raster) as dataset:
        pixels = dataset.read().astype(np.float32)
        profile = {**dataset.profile, "count": 1}
    height, width = pixels.shape[1:]
    scores = np.zeros((len(LEGEND), height, width))
    times = np.zeros((height, width))
    step = WINDOW_PX // 2
    for top in [*range(0, height - WINDOW_PX, step), height - WINDOW_PX]:
        for left in [*range(0, width - WINDOW_PX, step), width - WINDOW_PX]:
            box = np.s_[top : top + WINDOW_PX, left : left + WINDOW_PX]
            window = pixels[:, *box][None]
            scores[:, *box] += predictor.probabilities(window, np.ones((1, WINDOW_PX, WINDOW_PX), bool))[0]
            times[box] += 1
    class_ids = (scores / times).argmax(axis=0).astype(np.uint8)
    with rasterio.open(raster.with_name("plain.tif"), "w", **profile) as dataset:
        dataset.write(class_ids, 1)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory(sizes: Sequence[str]) -> dict[str, float]:
    found = dict[str, float]()
    for kind in ("one-convolution", "resnet50"):
        for size in sizes:
            width, height = _sides(size)
            if kind == "resnet50" and width * height > _MOST_PX_OF_RESNET:
                continue
            command = [sys.executable, __file__, "--child", kind, size]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            found[f"{kind} {size}"] = float(answer.stdout.split()[-1])
            print(f"{kind:16s} {size:>12s} px: {found[f'{kind} {size}']:,.0f} MiB at the most", flush=True)
    return found


def _sides(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height)


def _measure_memory(kind: str, size: str) -> None:
    device = choose_device("cpu")
    predictor = TorchPredictor(build_model(kind), device, choose_precision("auto", device))
    with tempfile.TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "raster.tif", *_sides(size))
        with suppress(KeyboardInterrupt):
            _run_engine(raster, predictor, Path(folder))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
