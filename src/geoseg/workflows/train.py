"""Train a model from points."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from geoseg.domain.legend import Legend
from geoseg.domain.points import CHECK, TRAIN, Points, hold_out, join_points
from geoseg.domain.ports import Progress, Silence
from geoseg.errors import OutputError, PointsError, StoppedError
from geoseg.geodata.outputs import check_output, whole_file
from geoseg.geodata.rasters import Raster
from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.fitting import Fit, FitData, FitPlan, Start, fit
from geoseg.learning.fresh_stages import pass_through
from geoseg.learning.head_start import can_start_head, start_head
from geoseg.learning.model_file import ModelRecord, pack_model
from geoseg.learning.models import Architecture, DeepLabV3, build_network, split_parameters
from geoseg.learning.normalisation import Normalisation, measure_normalisation
from geoseg.learning.patches import plan_cover
from geoseg.learning.stem import start_stem
from geoseg.learning.weights import WeightsReport, load_weights
from geoseg.pictures.curves import training_curves
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import Rasters, find_inputs, open_rasters, read_usable_points
from geoseg.workflows.pictures import write_picture
from geoseg.workflows.run_folder import RunFolder

NORMALISATION_WINDOWS = 256
NOT_OF_THE_RUN = {"resume", "overwrite", "output", "device", "processes"}


@dataclass(frozen=True)
class TrainResult:
    """The model file written, its record, and the training curves' picture."""

    model: Path
    record: ModelRecord
    curves: Path


def train(settings: TrainSettings, progress: Progress | None = None) -> TrainResult:
    """Train a network on labelled points and write the model file.

    Beside ``model.geoseg`` a folder ``model.run`` holds the log (JSONL and TensorBoard), the training
    curves and, until the model is written, the last checkpoint.

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
        material = _gather(settings, stack, progress)
        plan = _fit_plan(settings)
        architecture = _architecture(settings, material)
        network, report = _build(settings, architecture, progress)
        checkpoint = folder.begin(
            _identity(settings, plan, material), resume=settings.resume, overwrite=settings.overwrite
        )
        try:
            if settings.head_start and can_start_head(network, material.data):
                plan = replace(plan, has_fixed_norms=True)
                if checkpoint is None:
                    start_head(network, material.data, plan, missing=report.missing, progress=progress)
            fitted = fit(
                Start(network, split_parameters(network, report.missing), checkpoint),
                material.data,
                plan,
                progress=progress,
                after_epoch=folder.after_epoch,
            )
        except KeyboardInterrupt as error:
            raise _interrupted(folder, settings) from error
        training = {
            **_training_record(settings, material, fitted),
            "weights": report.describe(),
            "seconds": round(time.monotonic() - started, 1),
        }
        record = _record(architecture, material, training)
        with whole_file(settings.output, overwrite=settings.overwrite) as partial:
            partial.write_bytes(pack_model(fitted.state, record))
        curves = folder.path / "curves.png"
        write_picture(training_curves([asdict(r) for r in fitted.history]), curves, overwrite=True)
        folder.finish()
        return TrainResult(settings.output, record, curves)


def _build(
    settings: TrainSettings, architecture: Architecture, progress: Progress
) -> tuple[DeepLabV3, WeightsReport]:
    """Build the network with its weights, and give what has none a gentle start."""
    torch.manual_seed(settings.seed)
    network = build_network(architecture)
    report = load_weights(network, settings.weights, settings.backbone)
    progress.say(report.describe())
    start_stem(network, report.missing)
    pass_through(network, report.missing)
    return network, report


def _check_apart(settings: TrainSettings) -> None:
    """Refuse to write the model over what it is made from."""
    inputs = (settings.data, settings.points, settings.check_points, settings.legend)
    if settings.output.resolve() in {path.resolve() for path in inputs if path is not None}:
        raise OutputError("the model would replace what it is made from", where=settings.output)


@dataclass(frozen=True)
class _Material:
    """What there is to train on."""

    rasters: Rasters
    legend: Legend
    data: FitData


def _gather(settings: TrainSettings, stack: ExitStack, progress: Progress) -> _Material:
    split = settings.split if settings.data.is_dir() else None
    inputs = find_inputs(settings.data, split=split, legend=settings.legend)
    rasters = open_rasters(inputs.images, settings.bands, stack)
    points, legend = read_usable_points(
        settings.points,
        rasters,
        legend=inputs.legend,
        class_column=settings.class_column,
        progress=progress,
    )
    if settings.check_points is not None:
        checks, _ = read_usable_points(
            settings.check_points,
            rasters,
            legend=legend,
            class_column=settings.class_column,
            progress=progress,
        )
        checks = replace(checks, role=np.full(len(checks), CHECK))
        points = join_points([points.with_role(TRAIN), checks])
    elif not len(points.with_role(CHECK)):
        points = hold_out(points, settings.check_share, settings.seed)
    progress.say(_describe(points, legend))
    normalisation = _normalisation(rasters.sources, points, settings.patch)
    return _Material(rasters, legend, FitData(rasters.sources, points, normalisation, len(legend)))


def _describe(points: Points, legend: Legend) -> str:
    counts = points.counts(len(legend))
    without = [
        n for n, c in zip(legend.names, points.with_role(TRAIN).counts(len(legend)), strict=True) if not c
    ]
    if len(without) == len(legend):
        raise PointsError("no point is left to train on", hint="Lower --check-share, or add points.")
    text = ", ".join(f"{n} {c}" for n, c in zip(legend.names, counts, strict=True))
    held, images = len(points.with_role(CHECK)), len(np.unique(points.image))
    note = f" No point of {', '.join(without)}: the map will not show it." if without else ""
    return f"{len(points)} points on {images} raster(s), {held} of them held out ({text}).{note}"


def _normalisation(sources: Mapping[str, Raster], points: Points, patch_px: int) -> Normalisation:
    """Measure band statistics over the patches that hold points, at most some hundreds of them."""
    cells = plan_cover(points, patch_px)
    every = math.ceil(len(cells) / NORMALISATION_WINDOWS)
    return measure_normalisation(sources[c.image].read(c.window) for c in islice(cells, 0, None, every))


def _fit_plan(settings: TrainSettings) -> FitPlan:
    device = choose_device(settings.device)
    return FitPlan(
        epochs=settings.epochs,
        patches=settings.patches,
        batch=settings.batch,
        patch_px=settings.patch,
        gamma=settings.gamma,
        head_rate=settings.head_rate,
        backbone_rate=settings.backbone_rate,
        seed=settings.seed,
        device=device,
        precision=choose_precision(settings.precision, device),
        processes=settings.processes,
    )


def _architecture(settings: TrainSettings, material: _Material) -> Architecture:
    return Architecture(
        backbone=settings.backbone,
        bands=len(material.rasters.bands),
        classes=len(material.legend),
        patch_px=settings.patch,
        output_stride=settings.output_stride,
        block_style=settings.block_style,
    )


def _identity(settings: TrainSettings, plan: FitPlan, material: _Material) -> dict[str, Any]:
    """Return what makes a run the same run: settings, precision, and the points as training sees them."""
    chosen = settings.model_dump(mode="json", exclude=NOT_OF_THE_RUN)
    return {
        **chosen,
        "precision": plan.precision,
        "points_sha256": material.data.points.digest(),
        "legend": material.legend.to_records(),
    }


def _training_record(settings: TrainSettings, material: _Material, fitted: Fit) -> dict[str, Any]:
    points, names = material.data.points, material.legend.names
    counts = points.counts(len(names)).tolist()
    per_image = {str(i): int((points.image == i).sum()) for i in np.unique(points.image)}
    history = [{k: v for k, v in asdict(r).items() if math.isfinite(v)} for r in fitted.history]
    return {
        "settings": settings.model_dump(mode="json"),
        "points_sha256": points.digest(),
        "points_total": len(points),
        "points_held_out": len(points.with_role(CHECK)),
        "points_by_class": dict(zip(names, counts, strict=True)),
        "points_by_image": per_image,
        "epoch": fitted.best_epoch,
        "final_loss": fitted.history[-1].loss,
        "history": history,
        "versions": {n: version(n) for n in ("geoseg-pointai", "torch", "torchvision")},
    }


def _record(architecture: Architecture, material: _Material, training: dict[str, Any]) -> ModelRecord:
    resolutions = [i.resolution_m for i in material.rasters.infos.values() if i.resolution_m is not None]
    return ModelRecord(
        recipe=training["settings"]["recipe"],
        architecture=architecture,
        legend=material.legend,
        bands=material.rasters.bands,
        dtype=next(iter(material.rasters.infos.values())).dtype,
        normalisation=material.data.normalisation,
        resolution_m=median(resolutions) if resolutions else None,
        training=training,
    )


def _interrupted(folder: RunFolder, settings: TrainSettings) -> StoppedError:
    if not folder.checkpoint.exists():
        return StoppedError("stopped before the first epoch was finished", where=settings.output)
    return StoppedError(
        f"stopped; the last checkpoint is {folder.checkpoint}",
        where=settings.output,
        hint="Run the same command with --resume to go on.",
    )
