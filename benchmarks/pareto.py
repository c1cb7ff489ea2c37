"""Accuracy against time of the settings of quick, and of the forest, by validation: whole training images are left out.

    python benchmarks/pareto.py DATA OUT [--settings balanced fast ...] [--seeds 1] [--bands 1,2,3] [--figure FILE.png]

DATA is a dataset folder. Its training images are split in two halves. Each setting is trained on points of one half and
scored on the masks of the other, both ways, at 50 points per class in total and 10 per class and tile; the test images
are not read. Every run is kept in OUT and not repeated. Times are CPU seconds of all threads, because other work on the
machine changes them less. Mapping includes reading and scoring.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.domain.ports import NullProgress
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import EvaluateSettings, SampleSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.sample import sample
from geoseg.workflows.training.train import train

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"speed": "fast"},
    "balanced": {"speed": "balanced"},
    "best": {"speed": "best"},
    "1 scale, 1 view": {"scales": 1, "augmentations": 1},
    "1 scale, 8 views": {"scales": 1, "augmentations": 8},
    "2 scales, 1 view": {"scales": 2, "augmentations": 1},
    "2 scales, 4 views": {"scales": 2, "augmentations": 4},
    "forest": {"recipe": "forest"},
    "deep": {"recipe": "deep"},
}
BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "50 in total": {"per_class": 50, "scope": "total"},
    "10 per tile": {"per_class": 10, "scope": "tile", "tile": 256},
}
LINKED = ("images", "masks", "legend.json")


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--bands", default="1,2,3")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    halves = _halves(options.data.resolve(), options.output)
    bands = tuple(int(band) for band in options.bands.split(","))
    rows = []
    for name in options.settings:
        runs = [
            _run(options.output, half, name, budget=budget, seed=seed, bands=bands)
            for budget in BUDGETS
            for seed in range(options.seeds)
            for half in halves
        ]
        rows.append((name, {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}))
        print(
            f"{name:20s} " + "  ".join(f"{key} {value:.2f}" for key, value in rows[-1][1].items()), flush=True
        )
    if options.figure:
        _draw(dict(rows), options.figure)


def _halves(data: Path, output: Path) -> list[Path]:
    """Return two dataset folders: each has one half of the training images to train on, the other as test images."""
    names = (data / "train.txt").read_text().split()
    found = []
    for n in range(2):
        folder = output / f"half-{n}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in LINKED:
            if (data / name).exists() and not (folder / name).exists():
                (folder / name).symlink_to(data / name)
        (folder / "train.txt").write_text("\n".join(names[n::2]) + "\n")
        (folder / "test.txt").write_text("\n".join(names[1 - n :: 2]) + "\n")
        found.append(folder)
    return found


def _run(
    output: Path, half: Path, name: str, *, budget: str, seed: int, bands: tuple[int, ...]
) -> dict[str, float]:
    key = f"{half.name} {budget} {seed}".replace(" ", "-")
    kept = output / f"{name} {key}.json".replace(" ", "-").replace(",", "")
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text())
        return found
    points, model = output / f"{key}.gpkg", kept.with_suffix(".geoseg")
    quiet = NullProgress()
    if not points.exists():
        sample(SampleSettings(data=half, output=points, split="train", seed=seed, **BUDGETS[budget]), quiet)
    started = time.process_time()
    chosen = {"recipe": "quick", **SETTINGS[name]}
    train(
        TrainSettings(
            data=half,
            points=points,
            output=model,
            bands=bands,
            seed=seed,
            keep_features=False,
            overwrite=True,
            **chosen,
        ),
        quiet,
    )
    trained = time.process_time()
    scores = evaluate(EvaluateSettings(subject=model, data=half, split="test"), quiet).to_record()
    mapped = time.process_time()
    infos = [
        describe_raster(path)
        for name in (half / "test.txt").read_text().split()
        for path in [_image(half, name)]
    ]
    megapixels = sum(info.height * info.width for info in infos) / 1e6
    found = {
        "miou": 100 * scores["miou"],
        "accuracy": 100 * scores["overall_accuracy"],
        "train_s": trained - started,
        "map_s_per_mpx": (mapped - trained) / megapixels,
    }
    kept.write_text(json.dumps(found))
    model.unlink()
    return found


def _image(half: Path, name: str) -> Path:
    return next((half / "images").glob(f"{name}.*"))


def _draw(rows: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw mean IoU against the time of a map; the front is joined by a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    places = {name: (row["map_s_per_mpx"], row["miou"]) for name, row in rows.items()}
    front = [
        place
        for place in sorted(places.values())
        if all(o[1] < place[1] or o[0] > place[0] for o in places.values() if o != place)
    ]
    axes.plot(*zip(*front, strict=True), color="0.7", zorder=1)
    for name, (seconds, miou) in places.items():
        axes.scatter(
            seconds, miou, color="#1f5fa8" if name in ("fast", "balanced", "best") else "0.45", zorder=2
        )
        axes.annotate(name, (seconds, miou), xytext=(5, -10), textcoords="offset points", fontsize=8)
    axes.set(
        xlabel="CPU seconds per megapixel of the map",
        ylabel="mean IoU in %, training images left out",
        xscale="log",
    )
    figure.savefig(path)


if __name__ == "__main__":
    main()
