"""Cross-validate a recipe on points: folds of spatial blocks, and random folds for comparison."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.points import TRAIN, Points
from geoseg.domain.ports import NullProgress, Progress, PythonWarnings, WarningRecorder
from geoseg.domain.variograms import correlation_range
from geoseg.errors import PointsError, SettingsError, TrainingError
from geoseg.learning.calibration import HeldOut
from geoseg.learning.validation import Folds, spatial_folds
from geoseg.learning.validation_scores import ValidationScores, mapped_classes, score_mapped
from geoseg.settings import EvaluateSettings, TrainSettings
from geoseg.workflows.assessment.fold_recipes import FoldRecipe, fold_recipe
from geoseg.workflows.assessment.learning_curves import Curves, learning_curves
from geoseg.workflows.inputs import Rasters
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.training.calibration import calibrate
from geoseg.workflows.training.job import Job
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.training_data import load_training_data
from geoseg.workflows.training.validation import describe_score, doubts

MIN_BLOCK_PX = 32


@dataclass(frozen=True)
class CrossValidation:
    """Scores of a recipe at points, each predicted by a model that was fitted without its fold.

    Attributes:
        by_place: Scores with folds of blocks.
        at_random: Scores with folds of single points, which are too high.
        blocks: The blocks.
        range_px: Range of the variogram of the residuals in pixels; None if there is none.
        names: Names of the classes.
        statement: The scores and their limits, in a few sentences.
        warnings: Possible problems, one sentence each.
        curves: Learning curves; None if they were not requested.
    """

    by_place: ValidationScores
    at_random: ValidationScores
    blocks: Blocks
    range_px: float | None
    names: tuple[str, ...]
    statement: str
    warnings: tuple[str, ...]
    curves: Curves | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        return {
            "statement": self.statement,
            **self.by_place.to_record(self.names),
            "block_px": self.blocks.block_px,
            "range_px": self.range_px,
            "at_random": self.at_random.to_record(self.names),
            "learning_curve": None if self.curves is None else self.curves.to_record(),
            "warnings": list(self.warnings),
        }


@translate_library_errors
def cross_validate(settings: EvaluateSettings, progress: Progress | None = None) -> CrossValidation:
    """Score a recipe on the points of a raster by five folds of spatial blocks.

    Features are read once. Each fold fits the head anew to the points of the other folds, and chooses its ridge,
    temperature and prior shift by a cross-validation within them, so that the points of the fold choose nothing.

    Raises:
        PointsError: The points lie in too few places to hold any of them out.
        TrainingError: The points are too few for the recipe.
        RasterError: A raster cannot be read.
    """
    noted = WarningRecorder(progress or PythonWarnings())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        training = _training_settings(settings, folder / "cross-validation.geoseg")
        data = load_training_data(training, stack, noted, check_share=0.0)
        points = data.data.points
        if settings.role != "all":
            points = points.with_role(settings.role)
        points = replace(points, role=np.full(len(points), TRAIN))
        data = replace(data, data=replace(data.data, points=points))
        job = Job(training, data, RunFolder(training.output), noted)
        recipe = fold_recipe(job, settings.recipe or "quick")
        block = side_px(settings.block, data.rasters)
        found = _score(job, recipe, block=block, warnings=noted)
        if settings.learning_curve:
            names = found.names
            curves = learning_curves(recipe, found.blocks.numbers, names, seed=training.seed, progress=noted)
            found = replace(found, curves=Curves(curves, names, settings.more_points))
        if settings.picture is not None and found.curves is not None:
            found.curves.draw(settings.picture, overwrite=settings.overwrite)
        return replace(found, warnings=tuple(noted.warnings))


def _training_settings(settings: EvaluateSettings, output: Path) -> TrainSettings:
    named = (
        *("points", "class_column", "layer", "crs", "per_polygon", "classes", "legend", "nodata"),
        *("input", "head"),
    )
    own = {name: getattr(settings, name) for name in named}
    if settings.split is not None and "split" in settings.model_fields_set:
        own["split"] = settings.split
    own["recipe"] = settings.recipe or "auto"
    return TrainSettings(**own, data=settings.subject, output=output, device=settings.device)


def side_px(block: str | None, rasters: Rasters) -> int | None:
    """Return the side of a block, such as "256" or "500m", in pixels.

    Raises:
        SettingsError: It is in metres, but the rasters have no CRS.
    """
    if block is None or not block.endswith("m"):
        return None if block is None else int(block)
    sizes = [info.resolution_m for info in rasters.infos.values() if info.resolution_m is not None]
    if not sizes:
        raise SettingsError(
            "blocks in metres need rasters with a CRS",
            where="--block",
            expected="a side in pixels, such as 256",
            got=block,
        )
    return max(1, round(float(block[:-1]) / float(np.median(sizes))))


def _score(job: Job, recipe: FoldRecipe, *, block: int | None, warnings: WarningRecorder) -> CrossValidation:
    points = recipe.points
    labels = points.class_id.astype(np.int64)
    legend = job.training_data.legend
    blocks, range_px = find_blocks(points, block or job.settings.patch), None
    predicted = _predict(job, recipe, folds=_folds(job, labels, blocks.numbers), what="blocks")
    if block is None:
        range_px = _residual_range(points, labels, predicted)
        side = max(MIN_BLOCK_PX, round(range_px)) if range_px is not None else blocks.block_px
        if side != blocks.block_px:
            blocks = find_blocks(points, side)
            folds = _folds(job, labels, blocks.numbers)
            predicted = _predict(job, recipe, folds=folds, what="blocks of the range")
    by_place = _scores(predicted, points, blocks.numbers)
    single = np.arange(len(labels))
    shuffled = _predict(job, recipe, folds=_folds(job, labels, single), what="random points")
    at_random = _scores(shuffled, points, single)
    statement = _statement(by_place, at_random, blocks, range_px=range_px)
    return CrossValidation(
        by_place,
        at_random,
        blocks,
        range_px,
        tuple(legend.names),
        " ".join([statement, *doubts(by_place, legend)]),
        tuple(warnings.warnings),
    )


def _folds(job: Job, labels: NDArray[np.int64], places: NDArray[np.int64]) -> Folds:
    folds = spatial_folds(labels, places, seed=job.settings.seed)
    if folds is None:
        raise PointsError(
            "the points are too few for a cross-validation: each class lies in one place",
            where=job.settings.points,
            expected="points of two classes or more in several places",
            got=f"{len(labels)} points",
            hint="Add points in other parts of the area, at least 10 of each class.",
        )
    return folds


@dataclass(frozen=True)
class _Predicted:
    """Positions of the points (Q,) that were held out, their mapped class ids (Q,) and probabilities (Q, C)."""

    positions: NDArray[np.int64]
    mapped: NDArray[np.intp]
    probabilities: NDArray[np.float64]


def _predict(job: Job, recipe: FoldRecipe, *, folds: Folds, what: str) -> _Predicted:
    """Predict the held-out points of each fold as the map of a model of the other folds would show them."""
    data, progress = job.training_data, job.progress
    mapped, probabilities = [], []
    progress.start(f"Cross-validating with folds of {what}", len(folds))
    for chosen, left in folds:
        try:
            found = recipe.fit(chosen)
        except TrainingError as error:
            error.hint = "The points are too few for a cross-validation of this recipe."
            raise
        subset = replace(data, data=replace(data.data, points=recipe.points.take(chosen)))
        prior = job.settings.prior
        calibration, _ = calibrate(
            prior, subset, found.held_out, unlabelled=found.unlabelled, progress=NullProgress()
        )
        logits = found.scores(left)
        mapped.append(mapped_classes(logits, calibration))
        probabilities.append(softmax(logits.astype(np.float64) / calibration.temperature, axis=1))
        progress.advance()
    positions = np.concatenate([left for _, left in folds])
    return _Predicted(positions, np.concatenate(mapped), np.concatenate(probabilities))


def _residual_range(points: Points, labels: NDArray[np.int64], predicted: _Predicted) -> float | None:
    """Return the range in pixels of the variogram of 1 - p(class) at the held-out points."""
    own = points.take(predicted.positions)
    residuals = 1 - predicted.probabilities[np.arange(len(own)), labels[predicted.positions]]
    _, sites = np.unique(own.image, return_inverse=True)
    positions = np.stack([own.row, own.col], axis=1).astype(np.float64)
    return correlation_range(positions, residuals, sites)


def _scores(predicted: _Predicted, points: Points, places: NDArray[np.int64]) -> ValidationScores:
    at, labels = predicted.positions, points.class_id.astype(np.int64)
    held_out = HeldOut(predicted.probabilities, labels[at], points.weight[at].astype(np.float64), places[at])
    return score_mapped(held_out, predicted.mapped, trained=labels)


def _statement(
    by_place: ValidationScores, at_random: ValidationScores, blocks: Blocks, *, range_px: float | None
) -> str:
    name = "overall_accuracy"
    higher = 100 * float(at_random.at_points.values[name] - by_place.at_points.values[name])
    said = (
        f"Cross-validation by place: overall accuracy {describe_score(by_place, 'at_points', name)}, mean IoU "
        f"{describe_score(by_place, 'at_points', 'miou')} at {by_place.points:,} points in {by_place.blocks:,} blocks of "
        f"{blocks.block_px} px."
    )
    if range_px is not None:
        said += f" The residuals are correlated up to {range_px:.0f} px (range of their variogram)."
    if not blocks.are_independent:
        said += " Blocks this small are not independent, so the scores are too high."
    return (
        f"{said} Random folds: overall accuracy {describe_score(at_random, 'at_points', name)} ({higher:+.1f} points). "
        "Training points next to the scored ones can raise it, so report the scores by place."
    )
