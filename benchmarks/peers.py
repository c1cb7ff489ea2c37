"""How other tools' own tiling does what the engine does, as ratios from one run.

    python benchmarks/peers.py [--side 1024] [--output-stride 16] [--rounds 1] [--precision auto] [--json FILE]
    python benchmarks/peers.py --model MODEL --raster RASTER

All map one raster with one network in torch, in one process and one precision; imports and a first pass of the network are not
counted. Without a model it is DeepLabV3-ResNet50 with random weights, but for its last layer, on an invented raster:
good for times, while how far maps agree is told by a trained model and a raster of its kind (uint8, no other bands).
The engine writes class map and confidence as COGs, the others what they write:

- TorchGeo: RasterDataset, GridGeoSampler and a loop over batches that puts windows of 512 px into an array, as it has
  no writer of its own; side by side, and overlapping by half with their probabilities added up.
- geoai: semantic_inference_on_geotiff, which geoai.semantic_segmentation calls, with its defaults (windows of 512 px
  that overlap by half), and predict_geotiff with windows of the same size and overlap.

Peers are no dependencies and belong into an environment of their own:

    python3 -m venv peers && peers/bin/pip install torchgeo geoai-py && peers/bin/pip install -e .
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rasterio
import torch
from engine import run_engine, timed
from invented import models
from invented.rasters import write_raster
from plain.loop import WINDOW_PX
from rasterio.transform import rowcol
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from geoseg.domain.ports import Predictor
from geoseg.domain.windows import Window
from geoseg.learning.model_file import Model, read_model
from geoseg.networks.features.normalising import normalise
from geoseg.networks.models.deeplab import build_network
from geoseg.networks.models.rebuilding import rebuild_network
from geoseg.networks.models.stage_initialisation import init_identity_blocks
from geoseg.networks.models.stem_initialisation import init_gabor_filters
from geoseg.networks.prediction.exporting import to_inference_graph
from geoseg.networks.prediction.torch_predictor import TorchPredictor
from geoseg.workflows.devices import choose_device, choose_precision

PEERS = {"torchgeo": "torchgeo", "geoai": "geoai-py"}
BATCH = 4

Tool = Callable[[Path, Path], None]
"""Maps a raster (first path) and writes the class map (second path)."""


def main() -> None:
    """Measure and print; without peers, say how to install them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=1024, help="512 px at least")
    parser.add_argument("--output-stride", type=int, default=16, choices=(8, 16))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--raster", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if (options.model is None) != (options.raster is None):
        parser.error("--model and --raster go together")
    missing = [package for module, package in PEERS.items() if find_spec(module) is None]
    if missing:
        print(f"Not installed, left out: {', '.join(missing)}. How to install them: see the top of peers.py.")
    if len(missing) < len(PEERS):
        found = _compare(options)
        if options.json:
            options.json.write_text(json.dumps(found, indent=2) + "\n")


def _compare(options: argparse.Namespace) -> dict[str, object]:
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    with tempfile.TemporaryDirectory() as name:
        raster = options.raster or write_raster(Path(name) / "raster.tif", options.side)
        with rasterio.open(raster) as source:
            size = f"{source.width} x {source.height} px"
        print(f"{size}, {precision} on {device}, {torch.get_num_threads()} threads", flush=True)
        model = read_model(options.model) if options.model else _invent_model(raster, options.output_stride)
        tools = _tools(model, device, precision)
        out = Path(name) / "map.tif"
        rounds = [
            {tool: _measure(run, raster, out) for tool, run in tools.items()} for _ in range(options.rounds)
        ]
    found = {tool: _summary(tool, rounds) for tool in tools}
    for tool, row in found.items():
        print(
            f"{tool:38s} {row['seconds']:7.1f} s  {row['ratio_to_engine']:5.2f} x  "
            f"{row['additional_mib']:6,.0f} MiB  {row['same_class_as_engine']:.4f} of pixels as the engine"
        )
    return {"size": size, "precision": precision, "device": device, "rounds": options.rounds, "tools": found}


@torch.no_grad()
def _invent_model(raster: Path, output_stride: int) -> Model:
    """Return a network as training without weights starts it, its last layer fitted to colours: noise makes no map."""
    torch.manual_seed(0)
    architecture = models.resnet50_architecture(output_stride)
    network = build_network(architecture).eval()
    init_identity_blocks(network, [name for name, _ in network.named_parameters()])
    init_gabor_filters(network.backbone.conv1)
    with rasterio.open(raster) as dataset:
        pixels = torch.from_numpy(dataset.read(window=((0, WINDOW_PX), (0, WINDOW_PX)))).float()[None]
    head = network.classifier
    last, head[-1] = head[-1], nn.Identity()
    deep = network(normalise(pixels, torch.ones(1, WINDOW_PX, WINDOW_PX) > 0, models.NORMALISATION))
    head[-1] = last
    brightest, band = functional.adaptive_avg_pool2d(pixels, deep.shape[-2:]).max(dim=1)
    labels = (band + 3 * (brightest > brightest.median())).flatten()
    values = deep.movedim(1, -1).flatten(0, 2).double()
    mean, targets = values.mean(dim=0), 10 * functional.one_hot(labels, models.CLASSES).double()
    kernel = (values - mean).T @ (values - mean)
    ridge = 1e-3 * kernel.trace() / len(kernel) * torch.eye(len(kernel), dtype=kernel.dtype)
    weight = torch.linalg.solve(kernel + ridge, (values - mean).T @ targets).T
    last.weight.copy_(weight[:, :, None, None])
    last.bias.copy_(targets.mean(dim=0) - weight @ mean)
    return models.as_model("pfce", to_inference_graph(network, models.BANDS), architecture)


def _tools(model: Model, device: str, precision: str) -> dict[str, Tool]:
    """Return what is installed, warmed up; the engine first."""
    network = Whole(model, device, precision)
    predictor = TorchPredictor(model, device, precision)
    pixels = np.zeros((BATCH, 3, WINDOW_PX, WINDOW_PX), np.float32)
    predictor.probabilities(pixels[:1], pixels[:1, 0] == 0)
    network(torch.from_numpy(pixels).to(device))
    tools: dict[str, Tool] = {"engine": partial(_run_engine, model=model, predictor=predictor)}
    if find_spec("torchgeo"):
        name = f"torchgeo {version('torchgeo')}"
        tools[f"{name}, side by side"] = partial(_run_torchgeo, network=network)
        tools[f"{name}, overlap by half"] = partial(_run_torchgeo_overlapping, network=network)
    if find_spec("geoai"):
        from geoai.train import semantic_inference_on_geotiff  # noqa: F401 -- slow to import, not to be timed

        name = f"geoai {version('geoai-py')}"
        tools[f"{name}, semantic_inference"] = partial(_run_geoai, network=network)
        tools[f"{name}, predict_geotiff"] = partial(_run_geoai_blended, network=network)
    return tools


class Whole(nn.Module):
    """The network as these tools take one: raw pixels in, logits of every pixel out; channels first, as by default."""

    def __init__(self, model: Model, device: str, precision: str) -> None:
        super().__init__()
        self.device, self.is_bf16 = torch.device(device), precision == "bf16"
        self.classes = len(model.record.legend)
        normal = model.record.normalisation
        self.register_buffer("mean", torch.tensor(normal.mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(normal.deviation)[:, None, None])
        self.network, self.calibration = (
            rebuild_network(model.record.architecture, model.network.tensors),
            model.record.calibration,
        )
        self.to(self.device).eval()

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C, H, W) of raw pixels (N, 3, H, W)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
            logits = self.network((images - self.mean) / self.deviation)
        full = functional.interpolate(logits.float(), images.shape[-2:], mode="bilinear", align_corners=False)
        return self.calibration.apply(full)


class Times255(nn.Module):
    """Undoes the division by 255 that a tool does unasked."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return raw pixels."""
        return images * 255


def _run_engine(raster: Path, out: Path, *, model: Model, predictor: Predictor) -> None:
    run_engine(raster, model, predictor, folder=out.parent)


def _torchgeo_windows(raster: Path, network: Whole, stride: int) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield windows and their probabilities (C, h, w), cut to the raster."""
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    dataset = RasterDataset(raster)
    sampler = GridGeoSampler(dataset, size=WINDOW_PX, stride=stride)
    places = iter(sampler)
    with rasterio.open(raster) as source:
        transform, shape = source.transform, source.shape
    for batch in DataLoader(dataset, batch_size=BATCH, sampler=sampler, collate_fn=stack_samples):
        for found in network(batch["image"].to(network.device)).softmax(dim=1).cpu().numpy():
            x, y, _ = next(places)
            row, col = (int(n) for n in rowcol(transform, x.start, y.stop, op=round))
            window = Window(row, col, WINDOW_PX, WINDOW_PX).clipped(*shape)
            top, left = window.row - row, window.col - col
            yield window, found[:, top : top + window.height, left : left + window.width]


def _run_torchgeo(raster: Path, out: Path, network: Whole) -> None:
    with rasterio.open(raster) as source:
        class_ids = np.zeros(source.shape, np.uint8)
    for window, found in _torchgeo_windows(raster, network, WINDOW_PX):
        class_ids[_box(window)] = found.argmax(axis=0)
    _write(raster, out, class_ids)


def _run_torchgeo_overlapping(raster: Path, out: Path, network: Whole) -> None:
    with rasterio.open(raster) as source:
        scores = np.zeros((network.classes, *source.shape), np.float32)
    for window, found in _torchgeo_windows(raster, network, WINDOW_PX // 2):
        scores[:, *_box(window)] += found
    _write(raster, out, scores.argmax(axis=0).astype(np.uint8))


def _box(window: Window) -> tuple[slice, slice]:
    return np.s_[window.row : window.row + window.height, window.col : window.col + window.width]


def _write(raster: Path, out: Path, class_ids: np.ndarray) -> None:
    with rasterio.open(raster) as source:
        profile = {**source.profile, "count": 1}
    with rasterio.open(out, "w", **profile) as dataset:
        dataset.write(class_ids, 1)


def _run_geoai(raster: Path, out: Path, network: Whole) -> None:
    from geoai.train import semantic_inference_on_geotiff

    model = nn.Sequential(Times255(), network)
    options = {"num_classes": network.classes, "device": network.device, "quiet": True}
    semantic_inference_on_geotiff(model, str(raster), str(out), **options)


def _run_geoai_blended(raster: Path, out: Path, network: Whole) -> None:
    from geoai.inference import predict_geotiff

    predict_geotiff(
        nn.Sequential(network, nn.Softmax(dim=1)),
        str(raster),
        str(out),
        tile_size=WINDOW_PX,
        overlap=WINDOW_PX // 2,
        num_classes=network.classes,
        output_dtype="uint8",
        output_nodata=255,
        preprocess_fn=lambda pixels: pixels,
        postprocess_fn=lambda scores: scores.argmax(axis=0),
        device=str(network.device),
        verbose=False,
    )


@dataclass(frozen=True)
class Run:
    """What one tool needed, and its class map (H, W)."""

    seconds: float
    additional_mib: float
    class_ids: np.ndarray


def _measure(tool: Tool, raster: Path, out: Path) -> Run:
    out.unlink(missing_ok=True)
    with _watched_memory() as most:
        seconds = timed(lambda: tool(raster, out)).wall_s
    with rasterio.open(out) as dataset:
        return Run(seconds, most[0], dataset.read(1))


@contextmanager
def _watched_memory() -> Iterator[list[float]]:
    """Watch this process's memory meanwhile; the list holds the most MiB beyond those at the start. Linux only."""
    most, is_over = [float("nan")], threading.Event()
    if sys.platform != "linux":
        yield most
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # what earlier tools freed counts for none
        trim(0)
    start = _resident_mib()

    def watch() -> None:
        while not is_over.wait(0.01):
            most[0] = np.fmax(most[0], _resident_mib() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        is_over.set()
        watcher.join()


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _summary(tool: str, rounds: list[dict[str, Run]]) -> dict[str, float]:
    own, reference = [one[tool] for one in rounds], [one["engine"] for one in rounds]
    pairs = list(zip(own, reference, strict=True))
    return {
        "seconds": statistics.median(run.seconds for run in own),
        "ratio_to_engine": statistics.median(run.seconds / other.seconds for run, other in pairs),
        "additional_mib": max(run.additional_mib for run in own),
        "same_class_as_engine": float(np.mean(own[0].class_ids == reference[0].class_ids)),
    }


if __name__ == "__main__":
    main()
