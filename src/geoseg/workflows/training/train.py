"""Train a model from points."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.domain.points import CHECK, TRAIN
from geoseg.domain.ports import NullProgress, Progress, PythonWarnings, WarningRecorder
from geoseg.errors import SettingsError, StoppedError, TrainingError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output, whole_file
from geoseg.geodata.outputs.file_kinds import MODEL
from geoseg.geodata.points.dropped_points import DroppedPoints, check_dropped, write_dropped
from geoseg.geodata.points.training_places import places_of
from geoseg.learning.architecture import LIGHT_BACKBONE
from geoseg.learning.features.context import measure_context
from geoseg.learning.model_file import Model, ModelRecord, pack_model
from geoseg.pictures.curves import training_curves
from geoseg.settings import TrainSettings
from geoseg.workflows.devices import choose_device, choose_precision, require_torch
from geoseg.workflows.figure_files import write_picture
from geoseg.workflows.inputs import Inputs, check_paths
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.mapping.backends import build_default_predictor
from geoseg.workflows.training.auto import auto
from geoseg.workflows.training.job import Job, Trained
from geoseg.workflows.training.recipes import bands, forest, quick
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.training_data import TrainingData, load_training_data
from geoseg.workflows.training.validation import Validation, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TORCH_RECIPES = ("pfce", "full", "deep")
SHARED_RECIPES = ("pfce", "full")
"""Recipes that can run in several processes."""
_PACKAGES = ("geoseg-pointai", "numpy", "scikit-learn", "onnxruntime", "torch", "torchvision")
_MODULES = {"geoseg-pointai": "geoseg", "scikit-learn": "sklearn"}


@dataclass(frozen=True)
class TrainResult:
    """Result of a training.

    Attributes:
        model: The model file.
        record: The record in the model file.
        summary: One-line summary.
        curves: The picture of the training curves, if there is one.
        rank: Rank of this process in a distributed training; rank 0 writes the files.
        validation: Scores at held-out points.
        warnings: Possible problems of the model, one sentence each.
        dropped: Unusable points of the file with reasons; None without a point file.
    """

    model: Path
    record: ModelRecord
    summary: str
    curves: Path | None
    validation: Validation
    rank: int = 0
    warnings: tuple[str, ...] = ()
    dropped: DroppedPoints | None = None


@translate_library_errors
def train(
    settings: TrainSettings, progress: Progress | None = None, *, inputs: Inputs | None = None
) -> TrainResult:
    """Train a network on labelled points and write the model file.

    The folder ``model.run``, next to ``model.geoseg``, holds the settings. For recipes with epochs it also holds the log
    (JSONL and TensorBoard), the training curves and, until the model is written, the last checkpoint.

    With several processes, the call returns in each of them after the files are written.

    Args:
        settings: The settings.
        progress: Receives progress and warnings.
        inputs: The rasters and their legend; None: those that ``settings.data`` names.

    Raises:
        PointsError: The point file cannot be read or used.
        RasterError: A raster cannot be read.
        SettingsError: The device or the weights are not available, or the recipe cannot run in several processes.
        ModelFileError: The weights file or the checkpoint cannot be used.
        TrainingError: Training cannot start or continue.
        OutputError: The model file exists or cannot be written.
        StoppedError: The user stopped it; the last checkpoint is kept.
    """
    started = time.monotonic()
    check_apart([settings.output], _inputs(settings))
    check_output(settings.output, MODEL, overwrite=settings.overwrite)
    if settings.dropped is not None:
        check_dropped(settings.dropped, settings.points, overwrite=settings.overwrite)
    is_shared = _is_shared(settings)
    check_paths(settings.data, settings.points, settings.check_points)
    check_network(settings)
    fabric = _join(settings) if is_shared else None
    rank = 0 if fabric is None else fabric.global_rank
    progress = WarningRecorder((progress or PythonWarnings()) if rank == 0 else NullProgress())
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(settings.output, is_read_only=rank > 0))
        # Only pfce needs check points; the other recipes use cross-validation.
        check_share = settings.check_share if settings.recipe == "pfce" else 0.0
        training_data = load_training_data(settings, stack, progress, check_share=check_share, inputs=inputs)
        if rank == 0 and settings.dropped is not None and training_data.dropped is not None:
            write_dropped(settings.dropped, training_data.dropped, overwrite=settings.overwrite)
        try:
            job = Job(settings, training_data, folder, progress, fabric)
            trained = (bands if job.is_of_features else _recipe(settings.recipe))(job)
        except KeyboardInterrupt as error:
            raise _interrupted(folder, settings) from error
        validation = validate(job, trained)
        training = {
            **_training_record(settings, training_data, trained),
            "validation": validation.to_record(),
            "seconds": round(time.monotonic() - started + folder.earlier_s, 1),
            "computed_in": f"{job.precision} on {job.device}",
        }
        record = model_record(training_data, trained, training=training)
        context_px = 0 if job.is_of_features else _context(job, trained, record)
        record = replace(record, context_px=context_px)
        curves = folder.path / "curves.png" if trained.history else None
        if rank == 0:
            with whole_file(settings.output, MODEL, overwrite=settings.overwrite) as partial:
                partial.write_bytes(pack_model(trained.network, record))
            if curves is not None:
                write_picture(training_curves([asdict(r) for r in trained.history]), curves, overwrite=True)
            folder.finish()
        _wait(fabric)
        return TrainResult(
            settings.output,
            record,
            trained.summary,
            curves,
            validation,
            rank,
            warnings=tuple(progress.warnings),
            dropped=training_data.dropped,
        )


def check_network(settings: TrainSettings) -> None:
    """Check that torch is installed if the recipe or its backbone needs it, and that the weights are available.

    Raises:
        SettingsError: torch or the backbone is not installed, or the weights cannot be downloaded.
        ModelFileError: The weights file cannot be read.
    """
    network = settings.network
    if settings.recipe == "forest" or settings.input == "features":
        return
    if settings.recipe in TORCH_RECIPES:
        require_torch(f"the recipe {settings.recipe}", "--recipe")
    elif tuple(network) == (LIGHT_BACKBONE, "bundled"):
        return
    require_torch(f"the backbone {network.backbone} with the weights {network.weights}", "--backbone")
    from geoseg.networks.models.weight_checks import check_weights

    check_weights(network.weights, network.backbone)


def _recipe(name: str) -> Callable[[Job], Trained]:
    """Return the function of a recipe; those that need torch are imported when they are used."""
    if name == "deep":
        from geoseg.workflows.training.deep import deep

        return deep
    if name in TORCH_RECIPES:
        from geoseg.workflows.training import network_recipes

        return network_recipes.full if name == "full" else network_recipes.pfce
    return {"auto": auto, "quick": quick, "forest": forest}[name]


def _is_shared(settings: TrainSettings) -> bool:
    """Return whether the training runs in several processes.

    Raises:
        SettingsError: The recipe runs in one process only.
    """
    # torchrun sets these variables.
    is_launched = "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1
    if settings.processes == 1 and not is_launched:
        return False
    if settings.recipe not in SHARED_RECIPES:
        raise SettingsError(
            f"the recipe {settings.recipe} runs in one process only",
            where="--processes",
            expected=f"1, or a recipe of {', '.join(SHARED_RECIPES)}",
        )
    return True


def _join(settings: TrainSettings) -> Fabric:
    """Start or join the processes of a distributed training."""
    from geoseg.networks.fitting.processes import launch_fabric

    device = choose_device(settings.device)
    return launch_fabric(device, choose_precision(settings.precision, device), settings.processes)


def _wait(fabric: Fabric | None) -> None:
    """Wait for all processes."""
    if fabric is None:
        return
    try:
        fabric.barrier()
    except RuntimeError as error:
        raise TrainingError("another process of this training ended early", got=error) from error


def _inputs(settings: TrainSettings) -> list[Path | None]:
    """Return the input files in the settings of a training."""
    named = [settings.data, settings.points, settings.check_points, settings.legend]
    return [*named, Path(settings.network.weights), Path(settings.prior)]


def _training_record(
    settings: TrainSettings, training_data: TrainingData, trained: Trained
) -> dict[str, Any]:
    points, names = training_data.data.points, training_data.legend.names
    counts = points.counts(len(names)).tolist()
    per_image = {str(i): int((points.image == i).sum()) for i in np.unique(points.image)}
    return {
        "settings": settings.model_dump(mode="json"),
        "points_sha256": points.digest(),
        "drawn_sha256": replace(points, role=np.full(len(points), TRAIN)).digest(),
        "points_total": len(points),
        "points_held_out": len(points.with_role(CHECK)),
        "points_by_class": dict(zip(names, counts, strict=True)),
        "points_by_image": per_image,
        "places": _places(training_data, trained),
        **trained.training,
        "versions": {name: version(name) for name in _PACKAGES if find_spec(_MODULES.get(name, name))},
    }


def _places(training_data: TrainingData, trained: Trained) -> dict[str, Any]:
    """Return the locations of the training points and of the points that chose the epoch."""
    learnt = training_data.data.points if trained.history else training_data.fit_data.points
    return places_of(learnt, training_data.rasters.infos, training_data.data.points.digest()).to_record()


def _context(job: Job, trained: Trained, record: ModelRecord) -> int:
    predictor = build_default_predictor(Model(trained.network, record), job.device, job.precision)
    return measure_context(predictor, job.data, patch_px=job.settings.patch)


def model_record(
    training_data: TrainingData,
    trained: Trained,
    *,
    training: dict[str, Any],
    context_px: int | None = None,
) -> ModelRecord:
    """Return the record of a model file; ``training`` is its part about the training."""
    resolutions = [i.resolution_m for i in training_data.rasters.infos.values() if i.resolution_m is not None]
    return ModelRecord(
        recipe=trained.recipe,
        architecture=trained.architecture,
        legend=training_data.legend,
        bands=training_data.rasters.bands,
        dtype=training_data.values.dtype,
        normalisation=training_data.data.normalisation,
        resolution_m=median(resolutions) if resolutions else None,
        training=training,
        calibration=trained.calibration,
        context_px=context_px,
        strict_nodata=training_data.rasters.validity.is_strict,
        values=training_data.values.bands,
        feature_space=training_data.feature_space,
    )


def _interrupted(folder: RunFolder, settings: TrainSettings) -> StoppedError:
    if not folder.checkpoint.exists():
        return StoppedError("stopped before the first checkpoint", where=settings.output)
    return StoppedError(
        f"stopped; the last checkpoint is {folder.checkpoint}",
        where=settings.output,
        hint="Run the same command with --resume to continue.",
    )
