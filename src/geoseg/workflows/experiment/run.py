"""Compare recipes and budgets on a dataset: stored points, resumable runs, one summary."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy, accuracy_record, confusion_matrix
from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import ModelFileError, ResumeError, SettingsError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.learning.model_record import read_record
from geoseg.settings import ExperimentSettings, PredictSettings, SampleSettings, TrainSettings
from geoseg.workflows.experiment.data import read_data
from geoseg.workflows.experiment.grid import Run, runs, time_left
from geoseg.workflows.experiment.methods import METHODS
from geoseg.workflows.experiment.record import ensure_record
from geoseg.workflows.experiment.results import read_results
from geoseg.workflows.experiment.summary import Summary, check_background, summarise
from geoseg.workflows.inputs import Inputs, check_paths
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.sample import sample
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.train import check_network, train


@translate_library_errors
def experiment(settings: ExperimentSettings, progress: Progress | None = None) -> Summary:
    """Run every combination of recipe, budget and draw of points without a result, then write the summary.

    ``points/`` holds the point files, ``runs/`` one result file per run and ``maps/`` the maps of the test images.
    ``work/`` holds the checkpoints of unfinished runs. The summary needs only the result files.

    Raises:
        OutputError: The folder was created with other settings, or a result cannot be read.
        DatasetError: The folder, a list, an image or a mask is missing, or all masks of a split are unlabelled.
        RasterError: An image or mask cannot be read, they differ in size, or an image is all nodata.
        PointsError: The masks have no pixel that the protocol can draw.
        LegendError: The folder has no legend, or a mask has a class that the legend lacks.
        SettingsError: A recipe or the background class does not exist.
    """
    progress = progress or PythonWarnings()
    _check_recipes(settings)
    grid = runs(settings)
    check_paths(settings.data)
    unfinished = [_train_settings(run, settings) for run in grid if not _result(run, settings).exists()]
    for training in {(own.recipe, own.network): own for own in unfinished}.values():
        check_network(training)
    data = read_data(settings, progress)
    check_background(settings.background, data.legend.names)
    ensure_record(settings, data)
    for number, run in enumerate(grid, start=1):
        path = _result(run, settings)
        is_done = path.exists()
        state = "done already" if is_done else _time_left(grid, settings)
        progress.say(f"Run {number}/{len(grid)}: {run.describe()}{f'; {state}' if state else ''}")
        if not is_done:
            images = len(data.train.images)
            write_json(path, _execute(run, settings, data.test, images=images, progress=progress))
            if not settings.keep_models:
                shutil.rmtree(_model(run, settings).parent, ignore_errors=True)
    return summarise(settings.output, progress, data=settings.data, background=settings.background)


def _result(run: Run, settings: ExperimentSettings) -> Path:
    return settings.output / "runs" / f"{run.name}.json"


def _time_left(grid: Sequence[Run], settings: ExperimentSettings) -> str:
    left = [run for run in grid if not _result(run, settings).exists()]
    return time_left(left, read_results(settings.output))


def _check_recipes(settings: ExperimentSettings) -> None:
    for recipe in settings.recipes:
        if recipe not in METHODS:
            raise SettingsError(
                "there is no such recipe", where="--recipes", expected=", ".join(METHODS), got=recipe
            )


def _model(run: Run, settings: ExperimentSettings) -> Path:
    return settings.output / "work" / run.name / "model.geoseg"


def _train_settings(run: Run, settings: ExperimentSettings) -> TrainSettings:
    """Return the settings of a run.

    Raises:
        SettingsError: The recipe cannot use the backbone.
    """
    common = settings.training.model_dump() | {
        "data": settings.data.resolve(),
        "points": None if run.per_class is None else _points(run, settings),
        "output": _model(run, settings),
        "split": settings.train_split,
        "mask_values": settings.mask_values,
        "seed": run.seed,
        # Without a cache, so that the times of the runs are comparable.
        "keep_features": False,
        "resume": True,
        "overwrite": True,
    }
    adapted = METHODS[run.recipe](
        TrainSettings(**common, recipe="full" if run.per_class is None else "quick")
    )
    return TrainSettings(**adapted.model_dump())


def _points(run: Run, settings: ExperimentSettings) -> Path:
    return settings.output.resolve() / "points" / f"{run.per_class}-seed{run.seed}.gpkg"


def _train_or_resume(train_settings: TrainSettings, progress: Progress) -> Mapping[str, Any]:
    """Train or resume a training; return its record."""
    model = train_settings.output
    if model.exists():
        # The run was stopped after training, while it mapped the test images.
        return read_record(model).training
    try:
        return train(train_settings, progress).record.training
    except (ModelFileError, ResumeError) as error:
        if not RunFolder(model).checkpoint.exists():
            raise
        progress.warn(f"{error} This run starts from the beginning.")
        return train(train_settings.model_copy(update={"resume": False}), progress).record.training


def _execute(
    run: Run, settings: ExperimentSettings, test: Inputs, *, images: int, progress: Progress
) -> dict[str, Any]:
    """Draw the points or reuse a draw, train, map the test images and score them; return the result.

    Args:
        run: The run.
        settings: Settings of the experiment.
        test: The test data.
        images: Number of training images.
        progress: Receives every step.
    """
    assert test.legend is not None
    if run.per_class is not None:
        _draw_points(run, settings, progress)
    train_settings = _train_settings(run, settings)
    train_settings.output.parent.mkdir(parents=True, exist_ok=True)
    training = _train_or_resume(train_settings, progress)
    started = time.monotonic()
    maps = settings.output / "maps" / run.name
    # With an existing folder as output, predict writes into it even for a single raster.
    maps.mkdir(parents=True, exist_ok=True)
    device, precision = settings.training.device, settings.training.precision
    predict(
        PredictSettings(
            model=train_settings.output,
            rasters=tuple(test.images.values()),
            output=maps,
            nodata=settings.training.nodata,
            any_values=settings.training.any_values,
            device=device,
            precision=precision,
            overwrite=True,
        ),
        progress,
    )
    mapped = time.monotonic() - started
    confusions = {name: _compare(maps / f"{name}.tif", name, test) for name in test.images}
    names = test.legend.names
    kept = (
        "points_sha256",
        "drawn_sha256",
        "points_total",
        "points_used",
        "points_by_class",
        "computed_in",
        "final_loss",
        "history",
        "prior",
        "versions",
    )
    return {
        "recipe": run.recipe,
        "per_class": run.per_class,
        "seed": run.seed,
        "points_per_image": training["points_total"] / images,
        **{name: training[name] for name in kept},
        "epoch": training.get("epoch"),
        "seconds": {"train": training["seconds"], "map": round(mapped, 1)},
        **accuracy_record(accuracy(np.sum(list(confusions.values()), axis=0)), names),
        "images": {n: accuracy_record(accuracy(matrix), names) for n, matrix in confusions.items()},
    }


def _draw_points(run: Run, settings: ExperimentSettings, progress: Progress) -> None:
    """Draw the points of a run, unless an earlier run did."""
    assert run.per_class is not None
    path = _points(run, settings)
    if not path.exists():
        sample(
            SampleSettings(
                **settings.protocol.model_dump(),
                data=settings.data,
                output=path,
                split=settings.train_split,
                mask_values=settings.mask_values,
                per_class=run.per_class,
                seed=run.seed,
            ),
            progress,
        )


def _compare(path: Path, name: str, test: Inputs) -> NDArray[np.int64]:
    """Return the confusion matrix (C, C + 1) of the map of a test image."""
    assert test.legend is not None
    class_ids, info, _ = read_class_map(path)
    truth = test.read_truth(name, test.legend, info)
    return confusion_matrix(truth, class_ids, len(test.legend))
