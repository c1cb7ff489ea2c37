"""How many wrong labels the audit finds, and how many right ones it suspects: 5 % of the labels of a dataset are changed.

    python benchmarks/suspicious_labels.py [FOLDER [--split train]] [--seeds 0 1 2] [--share 0.05]

FOLDER is a dataset with masks, from which points are drawn: 50 of each class in total, and 10 of each class in every tile
of 256 px. Without it, an invented landscape gives 60 of each class. A changed label is any other class, all equally likely.
For each classifier: found wrong labels and suspected right labels in percent, by the odds of another class against the
label, and by the thresholds of confident learning.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from geoseg.domain.ports import NullProgress
from geoseg.geodata.datasets.landscapes import write_landscapes
from geoseg.learning.calibration import fit_temperature
from geoseg.learning.heads.forest import forest_scores
from geoseg.learning.heads.logistic import linear_scores
from geoseg.learning.suspicious_labels import check_labels
from geoseg.learning.validation import FitAndScore, Sample, predict_held_out, spatial_folds
from geoseg.settings import SampleSettings
from geoseg.workflows.inputs import find_inputs, open_rasters
from geoseg.workflows.points.label_check import read_label_features
from geoseg.workflows.sample import sample

LIMITS = (5.0, 10.0, 20.0)
SCORES = {"forest": forest_scores, "quick": linear_scores}
LANDSCAPE_PX = 768


def main() -> None:
    """Draw points, change labels, check them and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=0.05)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = options.folder or _invent(Path(own) / "landscape")
        draws = {"50 of each class in total": {"per_class": 50, "scope": "total"}}
        if options.folder is not None:
            draws["10 of each class and tile"] = {"per_class": 10, "tile": 256}
        for title, draw in draws.items():
            for classifier in SCORES:
                rows = [
                    _measure(folder, Path(own), seed, classifier, draw, options) for seed in options.seeds
                ]
                _print(title, classifier, np.mean(rows, axis=0))


def _invent(folder: Path) -> Path:
    write_landscapes(
        folder, {"train": [0], "test": [1]}, size=LANDSCAPE_PX, resolution_m=0.5, progress=NullProgress()
    )
    return folder


def _measure(  # noqa: PLR0917
    folder: Path, own: Path, seed: int, classifier: str, draw: dict[str, object], options: argparse.Namespace
) -> list[float]:
    """Return found and suspected shares for each rule, the points and the CPU seconds of reading and checking."""
    path = own / f"{seed}.gpkg"
    drawn = sample(
        SampleSettings(data=folder, split=options.split, output=path, seed=seed, overwrite=True, **draw)
    )
    points, classes = drawn.points, len(drawn.legend)
    rng = np.random.default_rng(seed)
    changed = rng.choice(len(points), round(options.share * len(points)), replace=False)
    labels = points.class_id.astype(np.int64)
    labels[changed] = (labels[changed] + rng.integers(1, classes, len(changed))) % classes
    is_wrong = np.isin(np.arange(len(points)), changed)
    with ExitStack() as stack:
        inputs = find_inputs(folder, split=options.split, legend=None)
        rasters = open_rasters(inputs.images, None, stack)
        started = time.process_time()
        read = read_label_features(points, rasters, classifier, progress=NullProgress())
        between = time.process_time()
        checked = replace(read, labels=labels)
        scores = SCORES[classifier](classes)
        rules = [check_labels(checked, scores, limit=limit).is_suspicious for limit in LIMITS]
        ended = time.process_time()
    rules.append(_by_confident_learning(checked, scores))
    shares = [share for rule in rules for share in (rule[is_wrong].mean(), rule[~is_wrong].mean())]
    return [*shares, len(points), between - started, (ended - between) / len(LIMITS)]


def _by_confident_learning(checked: Sample, scores: FitAndScore) -> np.ndarray:
    """Return whether another class passes its threshold, the mean probability of the class at points labelled so."""
    folds = spatial_folds(checked.labels, checked.places)
    held_out = predict_held_out(checked, folds, scores)
    probabilities = softmax(held_out.logits.astype(np.float64) / fit_temperature(held_out), axis=1)
    own = held_out.labels
    thresholds = np.array([probabilities[own == k, k].mean() for k in range(probabilities.shape[1])])
    passing = np.where(probabilities >= thresholds, probabilities, -1)
    found = np.zeros(len(checked.labels), bool)
    found[np.concatenate([left for _, left in folds])] = (passing.max(axis=1) > 0) & (
        passing.argmax(axis=1) != own
    )
    return found


def _print(title: str, classifier: str, row: np.ndarray) -> None:
    names = [f"odds of {limit:g}" for limit in LIMITS] + ["confident learning"]
    parts = [
        f"{name}: {100 * row[2 * k]:.0f} % found, {100 * row[2 * k + 1]:.1f} % suspected"
        for k, name in enumerate(names)
    ]
    points, reading, checking = row[-3:]
    print(
        f"{title} ({points:.0f} points), {classifier}: {'; '.join(parts)}; "
        f"CPU s {reading:.1f} reading, {checking:.1f} checking",
        flush=True,
    )


if __name__ == "__main__":
    main()
