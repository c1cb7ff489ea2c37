"""Train a model from points."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from geoseg.domain.points import CHECK, TRAIN
from geoseg.domain.ports import Progress, Silence
from geoseg.errors import OutputError, StoppedError
from geoseg.geodata.outputs import check_output, whole_file
from geoseg.learning.context import measure_context
from geoseg.learning.model_file import ModelRecord, build_any, pack_model
from geoseg.pictures.curves import training_curves
from geoseg.settings import TrainSettings
from geoseg.workflows.material import Material, gather
from geoseg.workflows.pictures import write_picture
from geoseg.workflows.recipes import Job, Trained, forest, full, pfce, quick
from geoseg.workflows.run_folder import RunFolder

RECIPES = {"pfce": pfce, "quick": quick, "forest": forest, "full": full}


@dataclass(frozen=True)
class TrainResult:
    """The model file written, its record, what became of it, and the training curves' picture if it has any."""

    model: Path
    record: ModelRecord
    summary: str
    curves: Path | None


def train(settings: TrainSettings, progress: Progress | None = None) -> TrainResult:
    """Train a network on labelled points and write the model file.

    Beside ``model.geoseg`` a folder ``model.run`` holds the settings and, where the recipe has epochs,
    the log (JSONL and TensorBoard), the training curves and, until the model is written, the last
    checkpoint.

    Raises:
        PointsError: The point file cannot be read or used.
        RasterError: A raster cannot be read.
        SettingsError: The device or the weights are not to be had.
        ModelFileError: The weights file or the checkpoint cannot be used.
        TrainingError: Training cannot start or go on.
        OutputError: The model file exists or cannot be written.
        StoppedError: The user stopped it; the last checkpoint is kept.
    """
    progress = progress or Silence()
    started = time.monotonic()
    _check_apart(settings)
    check_output(settings.output, overwrite=settings.overwrite)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(settings.output))
        # What chooses by cross-validation holds nothing out.
        check_share = settings.check_share if settings.recipe == "pfce" else 0.0
        material = gather(settings, stack, progress, check_share=check_share)
        try:
            job = Job(settings, material, folder, progress)
            trained = RECIPES[settings.recipe](job)
        except KeyboardInterrupt as error:
            raise _interrupted(folder, settings) from error
        training = {
            **_training_record(settings, material, trained),
            "seconds": round(time.monotonic() - started, 1),
        }
        record = _record(settings, material, trained, training=training, context_px=_context(job, trained))
        with whole_file(settings.output, overwrite=settings.overwrite) as partial:
            partial.write_bytes(pack_model(trained.state, record))
        curves = _draw_curves(trained, folder)
        folder.finish()
        return TrainResult(settings.output, record, trained.summary, curves)


def _draw_curves(trained: Trained, folder: RunFolder) -> Path | None:
    if not trained.history:
        return None
    curves = folder.path / "curves.png"
    write_picture(training_curves([asdict(r) for r in trained.history]), curves, overwrite=True)
    return curves


def _check_apart(settings: TrainSettings) -> None:
    """Refuse to write the model over what it is made from."""
    inputs = (settings.data, settings.points, settings.check_points, settings.legend)
    if settings.output.resolve() in {path.resolve() for path in inputs if path is not None}:
        raise OutputError("the model would replace what it is made from", where=settings.output)


def _training_record(settings: TrainSettings, material: Material, trained: Trained) -> dict[str, Any]:
    points, names = material.data.points, material.legend.names
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
        **trained.training,
        "versions": {n: version(n) for n in ("geoseg-pointai", "torch", "torchvision")},
    }


def _context(job: Job, trained: Trained) -> int:
    network = build_any(trained.architecture, trained.state)
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return measure_context(network, trained.calibration, job.material.data, reader=job.reader)


def _record(
    settings: TrainSettings,
    material: Material,
    trained: Trained,
    *,
    training: dict[str, Any],
    context_px: int,
) -> ModelRecord:
    resolutions = [i.resolution_m for i in material.rasters.infos.values() if i.resolution_m is not None]
    return ModelRecord(
        recipe=settings.recipe,
        architecture=trained.architecture,
        legend=material.legend,
        bands=material.rasters.bands,
        dtype=next(iter(material.rasters.infos.values())).dtype,
        normalisation=material.data.normalisation,
        resolution_m=median(resolutions) if resolutions else None,
        training=training,
        calibration=trained.calibration,
        context_px=context_px,
    )


def _interrupted(folder: RunFolder, settings: TrainSettings) -> StoppedError:
    if not folder.checkpoint.exists():
        return StoppedError("stopped before there was anything to go on from", where=settings.output)
    return StoppedError(
        f"stopped; the last checkpoint is {folder.checkpoint}",
        where=settings.output,
        hint="Run the same command with --resume to go on.",
    )
