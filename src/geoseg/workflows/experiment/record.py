"""What all results of an experiment's folder have in common: ``experiment.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError
from geoseg.geodata.outputs.atomic_files import check_output, check_own_folder, write_json
from geoseg.settings import ExperimentSettings
from geoseg.workflows.experiment.data import ExperimentData
from geoseg.workflows.inputs import Inputs

# Where a result comes from, not what it is.
_NOT_OF_THE_RESULT = {"device", "precision"}
# What only the summary needs.
_NOT_COMPARED = {"background"}
# What folders lack that were begun before it was kept; they go on without.
_ADDED = {"train_truth_sha256", "nodata", "strict_nodata", "any_values"}


def keep_record(settings: ExperimentSettings, data: ExperimentData) -> None:
    """Store what all results of the folder have in common, or make sure that it is the same.

    Raises:
        OutputError: The folder holds results of other settings; the difference is named.
    """
    path = settings.output / "experiment.json"
    now = _record(settings, data)
    if not path.exists():
        check_own_folder(settings.output, (), what="the experiment")
        check_output(path, overwrite=False)
        write_json(path, now)
        return
    before = _read(path)
    now, before = _flat(json.loads(json.dumps(now))), _flat(before)
    compared = (now.keys() | before.keys()) - _NOT_COMPARED - (_ADDED - before.keys())
    differing = sorted(k for k in compared if now.get(k) != before.get(k))
    if differing:
        first = differing[0]
        raise OutputError(
            f"the results here are of other settings; they differ in {', '.join(differing)}",
            where=settings.output,
            expected=f"{first} = {before.get(first)}",
            got=f"{first} = {now.get(first)}",
            hint="Give the settings it was begun with, or another folder.",
        )


def read_record(folder: Path) -> dict[str, Any]:
    """Read what all results of a folder have in common.

    Raises:
        OutputError: The folder is no experiment's, or the file cannot be read.
    """
    path = folder / "experiment.json"
    if not path.is_file():
        raise OutputError("this is no folder of an experiment", where=folder, expected="experiment.json")
    record = _read(path)
    try:
        _ = record["test_split"], record["protocol"]["scope"], record["protocol"]["tile"]
        _ = [land_class["name"] for land_class in record["legend"]]
    except (KeyError, TypeError) as error:
        raise _fault(path) from error
    return record


def _record(settings: ExperimentSettings, data: ExperimentData) -> dict[str, Any]:
    return {
        "data": settings.data.resolve().name,
        "legend": data.legend.to_records(),
        "train_images": _names(data.trained_on),
        "test_images": _names(data.tested),
        "train_truth_sha256": data.train_truth_sha256,
        "truth_sha256": data.truth_sha256,
        "protocol": {**settings.protocol.model_dump(mode="json"), "scope": settings.protocol.counts_for},
        "train_split": settings.train_split,
        "test_split": settings.test_split,
        "background": settings.background,
        "training": settings.training.model_dump(mode="json", exclude=_NOT_OF_THE_RESULT),
    }


def _names(inputs: Inputs) -> list[str]:
    """Return the images of a split, and behind those that it lists tiles of how many, and a hash of which."""
    return [f"{n} ({_tiles(inputs.tiles[n])})" if n in inputs.tiles else n for n in inputs.images]


def _tiles(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} tiles, {sha256(repr(list(numbers)).encode()).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _fault(path) from error


def _fault(path: Path) -> OutputError:
    return OutputError(
        "this is no record of an experiment, or it is damaged",
        where=path,
        hint="Choose another folder.",
    )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    nested = {k: v for k, v in record.items() if isinstance(v, dict)}
    inner = {name: value for part in nested.values() for name, value in part.items()}
    return {k: v for k, v in record.items() if k not in nested} | inner
