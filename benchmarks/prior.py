"""Whether correcting the class prior is a gain: mean IoU and accuracy with --prior none and em, for one case a line.

    python benchmarks/prior.py [CASE ...] [--recipe forest | quick [--weights FILE --block-style caffe]] [--seeds 0 1 2] [--folder prior-results]

A CASE is a dataset with masks and a budget, FOLDER:PER_CLASS:SCOPE (such as naip:50:total), scored at random pixels of its
training and of its test images; a raster and field points, RASTER:POINTS, scored at the points of five folds by place,
each left out by fits of their own; or landscape:NUMBER, an invented one, of 10 points a class, scored at its random pixels.
Logits are kept in --folder, so that a second run only corrects and scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from geoseg.domain.accuracy import accuracy
from geoseg.domain.blocks import assign_folds, find_blocks
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import Points
from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window
from geoseg.geodata.datasets.landscapes import write_landscapes
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.reading.rasters import Raster
from geoseg.inference.graphs.trees import forest_graph
from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.patches import BatchPoints
from geoseg.learning.features.reading import Extract, FitData, draw_unlabelled, read_features, sort_by_cell
from geoseg.learning.heads.forest import fit_forest
from geoseg.learning.heads.quick import fit_quick
from geoseg.settings import SampleSettings, TrainSettings
from geoseg.workflows.inputs import find_inputs, open_rasters
from geoseg.workflows.sample import sample
from geoseg.workflows.training.calibration import calibrate
from geoseg.workflows.training.job import Job
from geoseg.workflows.training.recipes import load_layers
from geoseg.workflows.training.training_data import TrainingData, load_training_data

LAND_SEED = 1000
LANDSCAPE_PX = 768


@dataclass(frozen=True)
class Fitted:
    """Logits of a fit: at points left out, at unlabelled pixels, and at pixels or points with a known class."""

    counts: np.ndarray
    held: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    places: np.ndarray
    unlabelled: np.ndarray
    land: np.ndarray
    land_truth: np.ndarray
    test: np.ndarray
    test_truth: np.ndarray

    def confusions(self, calibration: Calibration) -> Iterator[np.ndarray]:
        """Yield the confusion matrices on land and test (C, C), reference in rows."""
        classes = len(self.counts)
        shift = np.zeros(classes) if calibration.shift is None else np.array(calibration.shift)
        for logits, truth in ((self.land, self.land_truth), (self.test, self.test_truth)):
            mapped = (logits / calibration.temperature + shift).argmax(axis=1)
            cells = np.bincount(truth.astype(np.int64) * classes + mapped, minlength=classes**2)
            yield cells.reshape(classes, classes)


def main() -> None:
    """Fit what is not fitted yet, correct, score and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=["landscape:0"])
    parser.add_argument("--recipe", choices=["forest", "quick"], default="forest")
    parser.add_argument("--weights", help="As of geoseg train.")
    parser.add_argument("--block-style", default="pytorch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("prior-results"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(
        "mIoU and OA in %, none -> em, on land (images that points lie on) and test (other images, or points left out)"
    )
    for case in options.cases:
        for seed in options.seeds:
            _print(case, seed, options)


def _print(case: str, seed: int, options: argparse.Namespace) -> None:
    parts = list(_fits(case, seed, options))
    totals: dict[str, list[np.ndarray]] = {}
    notes = []
    for settings, training_data, fitted in parts:
        held = (
            HeldOut(fitted.held, fitted.labels, fitted.weights, fitted.places) if len(fitted.held) else None
        )
        calibration, record = calibrate(
            settings.prior, training_data, held, unlabelled=fitted.unlabelled, progress=NullProgress()
        )
        notes.append(f"{record.get('strength', 0):.2f}")
        for name, one in (("none", Calibration()), ("em", calibration)):
            totals.setdefault(name, []).append(np.stack(list(fitted.confusions(one))))
    text = []
    for place in (0, 1):
        both = [accuracy(sum(one[place] for one in totals[name])) for name in ("none", "em")]
        if both[0].confusion.sum():
            values = [f"{100 * both[0].miou:5.1f} -> {100 * both[1].miou:5.1f}"]
            values.append(f"{100 * both[0].overall_accuracy:5.1f} -> {100 * both[1].overall_accuracy:5.1f}")
            text.append(f"{('land', 'test')[place]}: mIoU {values[0]}, OA {values[1]}")
    print(f"{Path(case).name:32} seed {seed}  {'; '.join(text)}  (strength {' '.join(notes)})", flush=True)


def _fits(
    case: str, seed: int, options: argparse.Namespace
) -> Iterator[tuple[TrainSettings, TrainingData, Fitted]]:
    """Yield settings, material and logits of each fit of a case."""
    first, _, rest = case.partition(":")
    stem = case.replace("/", "_").replace(":", "-")
    own = {"output": options.folder / "m.geoseg", "recipe": options.recipe, "seed": seed, "device": "cpu"}
    own |= {"weights": options.weights, "block_style": options.block_style}
    with ExitStack() as stack:
        if Path(first).suffix:
            settings = TrainSettings(data=first, points=rest, **own)
            training_data = load_training_data(settings, stack, NullProgress(), check_share=0)
            for fold, (fitted, left) in enumerate(_outer_folds(training_data.fit_data.points, seed)):
                data = replace(training_data.data, points=fitted)
                path = options.folder / f"{stem}-{options.recipe}-{seed}-{fold}.npz"
                part = replace(training_data, data=data)
                test = (data, left)
                yield settings, part, _kept(path, lambda p=part, test=test: _fit(settings, p, test=test))
            return
        if first == "landscape":
            folder, (per_class, scope) = options.folder / f"landscape-{rest}", ("10", "image")
            if not folder.exists():
                splits = {"train": [1000 * int(rest)], "test": [1000 * int(rest) + 1]}
                write_landscapes(folder, splits, size=LANDSCAPE_PX, resolution_m=0.5, progress=NullProgress())
        else:
            folder, (per_class, scope) = Path(first), rest.split(":")
        points = options.folder / f"{stem}-{seed}.gpkg"
        if not points.exists():
            sample(
                SampleSettings(
                    data=folder,
                    output=points,
                    split="train",
                    per_class=int(per_class),
                    scope=scope,
                    seed=seed,
                )
            )
        settings = TrainSettings(data=folder, points=points, bands=(1, 2, 3), **own)
        training_data = load_training_data(settings, stack, NullProgress(), check_share=0)
        path = options.folder / f"{stem}-{options.recipe}-{seed}.npz"
        yield settings, training_data, _kept(path, lambda: _fit_dataset(settings, training_data, stack))


def _outer_folds(points: Points, seed: int) -> Iterator[tuple[Points, Points]]:
    blocks = find_blocks(points, 256)
    fold = assign_folds(points.class_id, blocks.numbers, folds=5, seed=seed + LAND_SEED)
    for k in range(fold.max() + 1):
        yield points.take(fold != k), points.take(fold == k)


def _kept(path: Path, make: Callable[[], Fitted]) -> Fitted:
    if not path.exists():
        fitted = make()
        with whole_file(path, overwrite=True) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **vars(fitted))
    with np.load(path) as kept:
        return Fitted(**{f.name: kept[f.name] for f in fields(Fitted)})


def _fit_dataset(settings: TrainSettings, training_data: TrainingData, stack: ExitStack) -> Fitted:
    """Fit to points of a dataset, and read at random pixels of its training and its test images."""
    inputs = find_inputs(settings.data, split="test", legend=None, masks_needed=True)
    rasters = open_rasters(inputs.images, settings.bands, stack)
    test = replace(training_data.data, sources=rasters.sources)
    drawn = draw_unlabelled(test.sizes, settings.patch, settings.seed)
    truth, valid = _truth(settings, training_data, drawn, sources=rasters.sources)
    pixels = replace(drawn, class_id=truth).take(valid & (truth != UNLABELLED))
    fitted = _fit(settings, training_data, test=(test, pixels))
    # The unlabelled pixels of the fit, which never saw their classes.
    drawn = sort_by_cell(
        draw_unlabelled(training_data.data.sizes, settings.patch, settings.seed), settings.patch
    )
    truth, valid = _truth(settings, training_data, drawn, sources=training_data.rasters.sources)
    truth = truth[valid]
    known = truth != UNLABELLED
    return replace(fitted, land=fitted.unlabelled[known], land_truth=truth[known])


def _truth(
    settings: TrainSettings, training_data: TrainingData, points: Points, *, sources: Mapping[str, Raster]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each point in the masks (P,), and whether the image is valid there."""
    truth, valid = points.class_id.copy(), np.zeros(len(points), bool)
    for name, source in sources.items():
        inputs = find_inputs(settings.data, split=None, legend=None, masks_needed=True)
        mask = inputs.read_truth(name, training_data.legend, source.info)
        is_valid = source.read(Window(0, 0, source.height, source.width))[1]
        own = points.image == name
        at = points.row[own].astype(int), points.col[own].astype(int)
        truth[own], valid[own] = mask[at], is_valid[at]
    return truth, valid


def _fit(
    settings: TrainSettings,
    training_data: TrainingData,
    *,
    test: tuple[FitData, Points],
) -> Fitted:
    job = Job(settings, training_data, None, NullProgress())  # type: ignore[arg-type]
    fitted = _fit_forest(job) if settings.recipe == "forest" else _fit_quick(job)
    classes, held = len(training_data.legend), fitted.held_out
    if held is None:
        held = HeldOut(np.zeros((0, classes)), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    read = read_features(fitted.logits, test[1], test[0], reader=job.reader)
    read = read.take(read.valid)
    none = np.zeros((0, classes)), np.zeros(0, np.int64)
    counts = np.bincount(training_data.fit_data.points.class_id, minlength=classes)
    places = held.places if held.places is not None else np.arange(len(held.labels))
    return Fitted(
        counts,
        held.logits,
        held.labels,
        held.weights,
        places,
        fitted.unlabelled,
        *none,
        read.values,
        read.label,
    )


@dataclass(frozen=True)
class _Recipe:
    """A fit: its logits at points of images, at points left out and at unlabelled pixels (U, C)."""

    logits: Extract
    held_out: HeldOut | None
    unlabelled: np.ndarray


def _fit_forest(job: Job) -> _Recipe:
    found = fit_forest(job.fit_data, job.reader, seed=job.settings.seed, progress=job.progress)
    graph = forest_graph(found.trees, job.data.normalisation.channels)
    return _Recipe(GraphExtractor(graph), found.held_out, found.unlabelled)


def _fit_quick(job: Job) -> _Recipe:
    settings, layers = job.settings, load_layers(job)
    reader = replace(job.reader, views=settings.augmentations)
    found = fit_quick(layers.extract, job.fit_data, reader, seed=settings.seed, progress=job.progress)

    def logits(images: np.ndarray, at: BatchPoints) -> np.ndarray:
        return found.probe.scores(layers.extract(images, at))

    return _Recipe(logits, found.validation.held_out, found.unlabelled)


if __name__ == "__main__":
    main()
