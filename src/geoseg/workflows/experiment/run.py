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
from geoseg.networks.models.model_file import read_record
from geoseg.networks.models.weight_checks import check_weights
from geoseg.settings import ExperimentSettings, PredictSettings, SampleSettings, TrainSettings
from geoseg.workflows.experiment.data import read_data
from geoseg.workflows.experiment.grid import Run, runs, time_left
from geoseg.workflows.experiment.methods import METHODS
from geoseg.workflows.experiment.record import keep_record
from geoseg.workflows.experiment.results import read_results
from geoseg.workflows.experiment.summary import Summary, check_background, summarise
from geoseg.workflows.inputs import Inputs, check_paths
from geoseg.workflows.library_faults import plain_faults
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.sample import sample
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.train import train


@plain_faults
def experiment(settings: ExperimentSettings, progress: Progress | None = None) -> Summary:
    """Run every recipe with every budget and draw of points that has no result yet, and sum up.

    ``points/`` holds the point files, ``runs/`` one result file for each run, ``maps/`` the maps of the
    test images, ``work/`` what an unfinished run needs to go on. The summary needs the result files alone.

    Raises:
        OutputError: The folder holds results of other settings; the difference is named. Or a result cannot be read.
        DatasetError: The folder, a list, an image or a mask is missing, or the masks of a split label nothing.
        RasterError: An image is all nodata, or an image or a mask cannot be read, or they are not of one size.
        PointsError: The masks have no pixel that the protocol would draw.
        LegendError: There is no legend, or a mask has a class that it lacks.
        SettingsError: There is no such recipe, or no such class to leave out.
    """
    progress = progress or PythonWarnings()
    _check_recipes(settings)
    grid = runs(settings)
    check_paths(settings.data)
    if any(run.recipe != "forest" and not _result(run, settings).exists() for run in grid):
        check_weights(settings.training.weights, settings.training.backbone)
    data = read_data(settings, progress)
    check_background(settings.background, data.legend.names)
    keep_record(settings, data)
    for place, run in enumerate(grid, start=1):
        path = _result(run, settings)
        is_done = path.exists()
        state = "done already" if is_done else _time_left(grid, settings)
        progress.say(f"Run {place}/{len(grid)}: {run.describe()}{f'; {state}' if state else ''}")
        if not is_done:
            images = len(data.trained_on.images)
            write_json(path, _carry_out(run, settings, data.tested, images=images, progress=progress))
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


def _trained(wanted: TrainSettings, progress: Progress) -> Mapping[str, Any]:
    """Train, or go on; return the record of the training."""
    model = wanted.output
    if model.exists():
        # A model without a result is of a run that was stopped while it mapped.
        return read_record(model).training
    try:
        return train(wanted, progress).record.training
    except (ModelFileError, ResumeError) as error:
        if not RunFolder(model).checkpoint.exists():
            raise
        progress.warn(f"{error} This run is begun anew.")
        return train(wanted.model_copy(update={"resume": False}), progress).record.training


def _carry_out(
    run: Run, settings: ExperimentSettings, tested: Inputs, *, images: int, progress: Progress
) -> dict[str, Any]:
    """Draw points unless they are drawn, train, map the test images, score; return the result.

    Args:
        run: What to do.
        settings: Of the experiment.
        tested: What to score on.
        images: How many there are to train on.
        progress: Told of every step.
    """
    assert tested.legend is not None
    points = None if run.per_class is None else _points(run, settings, progress)
    model = _model(run, settings)
    model.parent.mkdir(parents=True, exist_ok=True)
    common = settings.training.model_dump() | {
        "data": settings.data.resolve(),
        "points": points,
        "output": model,
        "split": settings.train_split,
        "mask_values": settings.mask_values,
        "seed": run.seed,
        # Every run reads for itself, so that their seconds can be compared.
        "keep_features": False,
        "resume": True,
        "overwrite": True,
    }
    wanted = METHODS[run.recipe](TrainSettings(**{**common, "recipe": "full" if points is None else "pfce"}))
    training = _trained(wanted, progress)
    started = time.monotonic()
    maps = settings.output / "maps" / run.name
    # A folder that is there says that one raster goes into a folder too.
    maps.mkdir(parents=True, exist_ok=True)
    device, precision = settings.training.device, settings.training.precision
    predict(
        PredictSettings(
            model=model,
            rasters=tuple(tested.images.values()),
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
    confusions = {name: _compare(maps / f"{name}.tif", name, tested) for name in tested.images}
    names = tested.legend.names
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


def _points(run: Run, settings: ExperimentSettings, progress: Progress) -> Path:
    assert run.per_class is not None
    path = settings.output.resolve() / "points" / f"{run.per_class}-seed{run.seed}.gpkg"
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
    return path


def _compare(path: Path, name: str, tested: Inputs) -> NDArray[np.int64]:
    """Return the confusion matrix (C, C + 1) of a map of a test image."""
    assert tested.legend is not None
    class_ids, info, _ = read_class_map(path)
    truth = tested.read_truth(name, tested.legend, info)
    return confusion_matrix(truth, class_ids, len(tested.legend))
