"""Whether a map depends on the window: agreement and mIoU of one model at windows of p, 2p and 4p px.

p is the side of the model's training patches. Prints one JSON object: for each image of a split and
each pair of windows the share of pixels of the same class, and for each window the mIoU against the masks.

Usage: python benchmarks/windows.py MODEL DATA [--split test] [--sizes 256 512 1024]
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np

from geoseg.cli.show import Lines
from geoseg.domain.accuracy import accuracy, confusion_matrix
from geoseg.domain.ports import PixelSource
from geoseg.domain.prediction import count_windows, plan_windows, predict_strips
from geoseg.geodata.masks import read_mask
from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import read_model
from geoseg.workflows.inputs import find_inputs, open_rasters


def main() -> None:
    """Print the comparison; without a model, say how to call it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--split", default="test")
    parser.add_argument("--sizes", type=int, nargs="+", help="Windows in pixels. [p, 2p and 4p]")
    arguments = parser.parse_args()
    if arguments.data is None:
        print("Needs a trained model: python benchmarks/windows.py MODEL DATA")
        return
    json.dump(
        compare(arguments.model, arguments.data, split=arguments.split, sizes=arguments.sizes),
        sys.stdout,
        indent=2,
    )
    print()


def compare(model_path: Path, data: Path, *, split: str, sizes: list[int] | None) -> dict[str, object]:
    """Predict every image of the split at every window size and compare the maps."""
    model = read_model(model_path)
    patch_px, classes = model.record.architecture.patch_px, len(model.record.legend)
    context_px = model.record.context_px or patch_px // 2
    sizes = sizes or [patch_px, 2 * patch_px, 4 * patch_px]
    inputs = find_inputs(data, split=split, legend=None, masks_needed=True)
    device = choose_device("auto")
    predictor = TorchPredictor(model, device, choose_precision("auto", device))
    totals = {size: np.zeros((classes, classes + 1), np.int64) for size in sizes}
    images: dict[str, object] = {}
    same = dict.fromkeys(combinations(sizes, 2), 0)
    pixels = 0
    with ExitStack() as stack:
        rasters = open_rasters(inputs.images, model.record.bands, stack)
        for name, source in rasters.sources.items():
            truth = read_mask(inputs.masks[name], model.record.legend, rasters.infos[name])
            maps = {size: _predict(source, predictor, size=size, context_px=context_px) for size in sizes}
            valid = maps[sizes[0]] != 255
            pixels += int(valid.sum())
            matrices = {size: confusion_matrix(truth, maps[size], classes) for size in sizes}
            agreement = {pair: int((maps[pair[0]] == maps[pair[1]])[valid].sum()) for pair in same}
            for pair, count in agreement.items():
                same[pair] += count
            for size in sizes:
                totals[size] += matrices[size]
            images[name] = _entry(matrices, {p: n / valid.sum() for p, n in agreement.items()})
    summary = _entry(totals, {pair: count / pixels for pair, count in same.items()})
    return {"patch_px": patch_px, "windows": sizes, "total": summary, "images": images}


def _entry(matrices: dict[int, np.ndarray], agreement: dict[tuple[int, int], float]) -> dict[str, object]:
    return {
        "miou": {str(size): accuracy(matrix).miou for size, matrix in matrices.items()},
        "agreement": {f"{a}/{b}": float(share) for (a, b), share in agreement.items()},
    }


def _predict(source: PixelSource, predictor: TorchPredictor, *, size: int, context_px: int) -> np.ndarray:
    plan = plan_windows(size, context_px)
    progress = Lines()
    progress.start(f"Windows of {size} px", count_windows(source, plan))
    strips = predict_strips(source, predictor, plan, progress=progress)
    return np.concatenate([strip.class_ids for strip in strips])


if __name__ == "__main__":
    main()
