"""What a step of the deep recipe costs beside one of pfCE, part by part, and the memory it takes.

    python benchmarks/deep.py [--backbone resnet50] [--steps 4] [--patch 256] [--batch 4] [--only pfce cutmix]

Each variant runs in a process of its own, on invented pixels, in the precision that training chooses. pfCE has
DeepLabV3-ResNet50; the backbone of deep is chosen. Asked is a ratio of 2.2 at most for the default losses and ResNet50.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window
from geoseg.learning.architecture import LIGHT_BACKBONE, Architecture
from geoseg.learning.calibration import Calibration
from geoseg.learning.features.reading import FitData
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.fitting.loop import FitPlan, InitialState, fit
from geoseg.networks.models.deeplab import build_network, split_parameters
from geoseg.networks.models.hypercolumns import build_layer_network, freeze_early_stages
from geoseg.settings import TrainSettings
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.training.deep import configure_unlabelled_losses

CLASSES = 6
SIDE = 1024
POINTS = 400
VARIANTS: dict[str, Sequence[str] | None] = {
    "pfce": None,
    "deep, points alone": (),
    "mean-teacher": ("mean-teacher",),
    "self-training": ("self-training",),
    "self-training, rotations": ("self-training", "rotations"),
    "self-training, class-thresholds": ("self-training", "class-thresholds"),
    "cutmix": ("cutmix",),
    "region-growing": ("region-growing",),
    "affinity": ("affinity",),
    "deep, default": TrainSettings.model_fields["losses"].default,
}


@dataclass(frozen=True)
class Noise:
    """A raster of noise."""

    height: int = SIDE
    width: int = SIDE

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return pixels (3, H, W) and validity (H, W) of a window."""
        shape = (window.height, window.width)
        rng = np.random.default_rng([window.row, window.col])
        return rng.uniform(0, 255, (3, *shape)).astype(np.float32), np.ones(shape, np.bool_)


def measure(
    losses: Sequence[str] | None, *, backbone: str, patch_px: int, batch: int, steps: int
) -> tuple[float, float]:
    """Return the seconds of a step after an epoch to warm up, and the most memory in MiB: the process's, or CUDA's."""
    torch.manual_seed(0)
    device = choose_device("auto")
    plan = FitPlan(
        epochs=2,
        patches=steps * batch,
        batch=batch,
        patch_px=patch_px,
        device=device,
        precision=choose_precision("auto", device),
    )
    rng = np.random.default_rng(0)
    places = rng.uniform(0, SIDE - 1, (2, POINTS))
    points = make_points("noise", *places, rng.integers(CLASSES, size=POINTS))
    data = FitData({"noise": Noise()}, points, Normalisation((127.0,) * 3, (74.0,) * 3), CLASSES)
    architecture = Architecture(classes=CLASSES, patch_px=patch_px, block_style="caffe")
    if losses is None:
        network = build_network(architecture)
        start = InitialState(network, split_parameters(network, ()))
    else:
        own = replace(architecture, backbone=backbone, head="linear", scales=(1, 2))
        network, teacher = build_layer_network(own), build_layer_network(own)
        start = InitialState(network, (freeze_early_stages(network), []), teacher=teacher.to(device))
        unlabelled_losses = configure_unlabelled_losses(losses, Calibration(1.0, (0.0,) * CLASSES))
        # The loss at noise means nothing, and its rate keeps the weights where they are.
        plan = replace(plan, unlabelled_losses=unlabelled_losses, has_fixed_norms=True, backbone_rate=1e-9)
    seconds = fit(start, data, plan, progress=NullProgress()).history[-1].seconds / steps
    if device == "cuda":
        return seconds, torch.cuda.max_memory_allocated() / 2**20
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backbone", default="resnet50", help=f"of deep; the default of training is {LIGHT_BACKBONE}"
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--patch", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    base = None
    for name in options.only:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            sizes = {"patch_px": options.patch, "batch": options.batch, "steps": options.steps}
            seconds, memory = pool.apply(measure, (VARIANTS[name],), {"backbone": options.backbone, **sizes})
        base = base or seconds
        ratio = f"{seconds / base:5.2f} times {options.only[0]}"
        print(f"{name:28s} {seconds:7.3f} s a step, {ratio}, {memory:6,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
