"""Whether a map depends on the window: agreement and mIoU of one model at windows of p, 2p and 4p px.

p is the side of the model's training patches. Prints one JSON object: for each image of a split and
each pair of windows the share of pixels of the same class, and for each window the mIoU against the masks.

"borders" tells whether windows show in the map: the share of pixels that differ within 8 px of a border of the
smaller window and elsewhere, and the largest share in a single row or column of 100 valid pixels or more. Windows
that leave no trace differ as much elsewhere as at their borders.

Usage: python benchmarks/windows.py MODEL DATA [--split test] [--sizes 256 512 1024]
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from geoseg.cli.show import Lines
from geoseg.domain.accuracy import accuracy, confusion_matrix
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.mapping.blending import spans
from geoseg.domain.mapping.prediction import WindowPlan, count_windows, plan_windows, predict_strips
from geoseg.domain.ports import PixelSource, Predictor
from geoseg.geodata.reading.masks import read_mask
from geoseg.learning.model_file import read_model
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.inputs import find_inputs, open_rasters
from geoseg.workflows.mapping.backends import build_default_predictor

NEAR_PX = 8
LEAST_LINE_PX = 100


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
    found = compare(arguments.model, arguments.data, split=arguments.split, sizes=arguments.sizes)
    print(json.dumps(found, indent=2))


def compare(model_path: Path, data: Path, *, split: str, sizes: list[int] | None) -> dict[str, object]:
    """Predict every image of the split at every window size and compare the maps."""
    model = read_model(model_path)
    record, patch_px = model.record, model.record.architecture.patch_px
    sizes = sorted(sizes or [patch_px, 2 * patch_px, 4 * patch_px])
    plans = {size: plan_windows(size, record.context_px or patch_px // 2) for size in sizes}
    inputs = find_inputs(data, split=split, legend=None, masks_needed=True)
    device = choose_device("auto")
    predictor = build_default_predictor(model, device, choose_precision("auto", device))
    matrices, differences = dict[str, Matrices](), dict[str, Differences]()
    with ExitStack() as stack:
        rasters = open_rasters(inputs.images, record.bands, stack)
        for name, source in rasters.sources.items():
            truth = read_mask(inputs.masks[name], record.legend, rasters.infos[name])
            maps = {size: _predict(source, predictor, plan) for size, plan in plans.items()}
            matrices[name] = {s: confusion_matrix(truth, ids, len(record.legend)) for s, ids in maps.items()}
            pairs = combinations(sizes, 2)
            differences[name] = {(a, b): _difference(maps[a], maps[b], plans[a]) for a, b in pairs}
    images = {name: _entry([matrices[name]], [differences[name]]) for name in matrices}
    total = _entry([*matrices.values()], [*differences.values()])
    return {"patch_px": patch_px, "windows": sizes, "total": total, "images": images}


@dataclass(frozen=True)
class Difference:
    """How two maps differ; the first of each pair near borders of windows, the second elsewhere.

    Attributes:
        pixels: Pixels that differ, and valid pixels, (2, 2) int64.
        worst_line: Largest share of differing pixels in a row or column (2,); 0 where none is long enough.
    """

    pixels: np.ndarray
    worst_line: np.ndarray

    def to_json(self) -> dict[str, float | None]:
        """Return shares; null where there is no pixel."""
        shares = [int(differing) / int(valid) if valid else None for differing, valid in self.pixels]
        names = ("at_borders", "elsewhere", "worst_line_at_borders", "worst_line_elsewhere")
        return dict(zip(names, [*shares, *self.worst_line.tolist()], strict=True))


Matrices = dict[int, np.ndarray]
Differences = dict[tuple[int, int], Difference]


def _entry(matrices: list[Matrices], differences: list[Differences]) -> dict[str, object]:
    """Return what one image, or several together, showed."""
    miou = {str(size): accuracy(sum(one[size] for one in matrices)).miou for size in matrices[0]}
    agreement, borders = dict[str, float](), dict[str, object]()
    for a, b in differences[0]:
        alike = [one[a, b] for one in differences]
        pixels = sum(one.pixels for one in alike)
        agreement[f"{a}/{b}"] = 1 - float(np.divide(*pixels.sum(axis=0)))
        worst_line = np.max([one.worst_line for one in alike], axis=0)
        borders[f"{a}/{b}"] = Difference(pixels, worst_line).to_json()
    return {"miou": miou, "agreement": agreement, "borders": borders}


def _difference(one: np.ndarray, other: np.ndarray, plan: WindowPlan) -> Difference:
    valid, differs = one != UNLABELLED, one != other
    near_rows, near_cols = (_near_borders(length, plan) for length in one.shape)
    near = near_rows[:, None] | near_cols
    pixels = [[np.sum(differs & part), np.sum(valid & part)] for part in (near, ~near)]
    rows, cols = (_line_shares(differs, valid, axis) for axis in (1, 0))
    at_borders = max(rows[near_rows].max(initial=0), cols[near_cols].max(initial=0))
    elsewhere = max(rows[~near_rows].max(initial=0), cols[~near_cols].max(initial=0))
    return Difference(np.array(pixels, np.int64), np.array([at_borders, elsewhere]))


def _near_borders(length: int, plan: WindowPlan) -> np.ndarray:
    """Return which rows, or columns, lie within 8 px of a border between cores."""
    near = np.zeros(length, np.bool_)
    for span in spans(length, plan.core_px, plan.half_band_px)[1:]:
        near[span.start - NEAR_PX : span.start + NEAR_PX] = True
    return near


def _line_shares(differs: np.ndarray, valid: np.ndarray, axis: int) -> np.ndarray:
    count = valid.sum(axis=axis)
    return np.where(count >= LEAST_LINE_PX, differs.sum(axis=axis) / np.maximum(count, 1), 0.0)


def _predict(source: PixelSource, predictor: Predictor, plan: WindowPlan) -> np.ndarray:
    progress = Lines()
    progress.start(f"Windows of {plan.core_px} px", count_windows(source, plan))
    strips = predict_strips(source, predictor, plan, progress=progress)
    return np.concatenate([strip.class_ids for strip in strips])


if __name__ == "__main__":
    main()
