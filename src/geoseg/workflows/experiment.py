"""Compare recipes and budgets on a dataset: stored points, resumable runs, one summary."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy, accuracy_record, confusion_matrix
from geoseg.domain.ports import Progress, Silence
from geoseg.errors import LegendError, ModelFileError, OutputError, ResumeError, SettingsError
from geoseg.geodata.class_maps import read_class_map
from geoseg.geodata.outputs import check_output, write_json
from geoseg.geodata.rasters import describe_raster
from geoseg.learning.model_file import read_record
from geoseg.settings import (
    ExperimentSettings,
    PredictSettings,
    SampleSettings,
    TrainSettings,
)
from geoseg.workflows.inputs import Inputs, find_inputs
from geoseg.workflows.methods import METHODS
from geoseg.workflows.predict import predict
from geoseg.workflows.run_folder import RunFolder
from geoseg.workflows.sample import sample
from geoseg.workflows.summary import Summary, check_background, summarise
from geoseg.workflows.train import train

# Where a result comes from, not what it is.
_NOT_OF_THE_RESULT = {"device", "precision"}


@dataclass(frozen=True)
class Run:
    """One cell of the grid; full supervision has no budget."""

    recipe: str
    per_class: int | None
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return self.recipe if self.per_class is None else f"{self.recipe}-{self.per_class}-seed{self.seed}"

    def describe(self) -> str:
        """Return what it is, for people."""
        budget = "all labels" if self.per_class is None else f"{self.per_class} points per class"
        return f"{self.recipe}, {budget}, seed {self.seed}"


def experiment(settings: ExperimentSettings, progress: Progress | None = None) -> Summary:
    """Run every recipe with every budget and draw of points that has no result yet, and sum up.

    ``points/`` holds the point files, ``runs/`` one result file for each run, ``maps/`` the maps of the
    test images, ``work/`` what an unfinished run needs to go on. The summary needs the result files alone.

    Raises:
        OutputError: The folder holds results of other settings; the difference is named.
        DatasetError: The folder, a list, an image or a mask is missing.
        RasterError: An image or a mask of the test split cannot be read, or they are not of one size.
        LegendError: There is no legend, or a mask has a class that it lacks.
        SettingsError: There is no such recipe.
    """
    progress = progress or Silence()
    _check_recipes(settings)
    tested = find_inputs(settings.data, split=settings.test_split, legend=None, masks_needed=True)
    if tested.legend is None:
        raise LegendError("this folder has no legend", where=settings.data, expected="legend.json")
    trained_on = find_inputs(settings.data, split=settings.train_split, legend=None, masks_needed=True)
    check_background(settings, tested.legend.names)
    _check_same(settings, trained_on, tested, truth_sha256=_check_truth(tested))
    grid = runs(settings)
    for place, run in enumerate(grid, start=1):
        progress.say(f"Run {place}/{len(grid)}: {run.describe()}")
        path = settings.output / "runs" / f"{run.name}.json"
        if not path.exists():
            images = len(trained_on.images)
            write_json(path, _carry_out(run, settings, tested, images=images, progress=progress))
            if not settings.keep_models:
                shutil.rmtree(_model(run, settings).parent, ignore_errors=True)
    return summarise(settings, progress)


def runs(settings: ExperimentSettings) -> list[Run]:
    """Return the runs of the grid; every recipe meets the same draws."""
    grid = []
    for recipe in settings.recipes:
        if recipe == "full":
            grid.append(Run(recipe, None, 0))
            continue
        grid += [Run(recipe, n, seed) for n in settings.per_class for seed in range(settings.seeds)]
    return grid


def _check_recipes(settings: ExperimentSettings) -> None:
    for recipe in settings.recipes:
        if recipe not in METHODS:
            raise SettingsError(
                "there is no such recipe", where="--recipes", expected=", ".join(METHODS), got=recipe
            )


def _check_truth(tested: Inputs) -> str:
    """Read all that maps will be scored by, before hours of work, and return its SHA-256."""
    assert tested.legend is not None
    found = sha256()
    for name, path in tested.images.items():
        found.update(tested.read_truth(name, tested.legend, describe_raster(path)).tobytes())
    return found.hexdigest()


def _check_same(
    settings: ExperimentSettings, trained_on: Inputs, tested: Inputs, *, truth_sha256: str
) -> None:
    """Store what all results of the folder have in common, or make sure that it is the same."""
    path = settings.output / "experiment.json"
    assert tested.legend is not None
    now = {
        "data": settings.data.resolve().name,
        "legend": tested.legend.to_records(),
        "train_images": _names(trained_on),
        "test_images": _names(tested),
        "truth_sha256": truth_sha256,
        "protocol": {**settings.protocol.model_dump(mode="json"), "scope": settings.protocol.counts_for},
        "train_split": settings.train_split,
        "test_split": settings.test_split,
        "training": settings.training.model_dump(mode="json", exclude=_NOT_OF_THE_RESULT),
    }
    if not path.exists():
        check_output(path, overwrite=False)
        write_json(path, now)
        return
    before = _read(path)
    now, before = _flat(json.loads(json.dumps(now))), _flat(before)
    differing = sorted(k for k in now.keys() | before.keys() if now.get(k) != before.get(k))
    if differing:
        first = differing[0]
        raise OutputError(
            f"the results here are of other settings; they differ in {', '.join(differing)}",
            where=settings.output,
            expected=f"{first} = {before.get(first)}",
            got=f"{first} = {now.get(first)}",
            hint="Give the settings it was begun with, or another folder.",
        )


def _names(inputs: Inputs) -> list[str]:
    """Return the images of a split, and behind those that it lists tiles of their number."""
    return [f"{n} ({len(inputs.tiles[n])} tiles)" if n in inputs.tiles else n for n in inputs.images]


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise OutputError("this file of the experiment cannot be read", where=path, got=error) from error


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    nested = {k: v for k, v in record.items() if isinstance(v, dict)}
    inner = {name: value for part in nested.values() for name, value in part.items()}
    return {k: v for k, v in record.items() if k not in nested} | inner


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
        "seed": run.seed,
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
