"""Write, read and compare ``experiment.json``: the settings that all results of a folder share."""

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

# Computing options, which do not define a result.
_NOT_RECORDED = {"device", "precision"}
# Used by the summary only.
_NOT_COMPARED = {"background"}
# Absent in records of earlier versions; not compared there.
_ADDED = {"train_truth_sha256", "nodata", "strict_nodata", "any_values"}


def ensure_record(settings: ExperimentSettings, data: ExperimentData) -> None:
    """Write the record of a new folder, or check that the record of an existing folder is the same.

    Raises:
        OutputError: The folder was created with other settings; the message names the difference.
    """
    path = settings.output / "experiment.json"
    current = _record(settings, data)
    if not path.exists():
        check_own_folder(settings.output, (), what="the experiment")
        check_output(path, overwrite=False)
        write_json(path, current)
        return
    stored = _read(path)
    current, stored = _flat(json.loads(json.dumps(current))), _flat(stored)
    compared = (current.keys() | stored.keys()) - _NOT_COMPARED - (_ADDED - stored.keys())
    differing = sorted(k for k in compared if current.get(k) != stored.get(k))
    if differing:
        first = differing[0]
        raise OutputError(
            f"this folder was created with other settings; they differ in {', '.join(differing)}",
            where=settings.output,
            expected=f"{first} = {stored.get(first)}",
            got=f"{first} = {current.get(first)}",
            hint="Use the settings of this folder, or choose another folder.",
        )


def read_record(folder: Path) -> dict[str, Any]:
    """Read ``experiment.json`` of a folder.

    Raises:
        OutputError: The folder is not an experiment folder, or the file cannot be read.
    """
    path = folder / "experiment.json"
    if not path.is_file():
        raise OutputError("this is not an experiment folder", where=folder, expected="experiment.json")
    record = _read(path)
    try:
        _ = record["test_split"], record["protocol"]["scope"], record["protocol"]["tile"]
        _ = [land_class["name"] for land_class in record["legend"]]
    except (KeyError, TypeError) as error:
        raise _record_error(path) from error
    return record


def _record(settings: ExperimentSettings, data: ExperimentData) -> dict[str, Any]:
    return {
        "data": settings.data.resolve().name,
        "legend": data.legend.to_records(),
        "train_images": _names(data.train),
        "test_images": _names(data.test),
        "train_truth_sha256": data.train_truth_sha256,
        "truth_sha256": data.truth_sha256,
        "protocol": {**settings.protocol.model_dump(mode="json"), "scope": settings.protocol.counts_for},
        "train_split": settings.train_split,
        "test_split": settings.test_split,
        "background": settings.background,
        "training": settings.training.model_dump(mode="json", exclude=_NOT_RECORDED),
    }


def _names(inputs: Inputs) -> list[str]:
    """Return the image names of a split. Add the number and a hash of the listed tiles, where present."""
    return [f"{n} ({_tiles(inputs.tiles[n])})" if n in inputs.tiles else n for n in inputs.images]


def _tiles(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} tiles, {sha256(repr(list(numbers)).encode()).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _record_error(path) from error


def _record_error(path: Path) -> OutputError:
    return OutputError(
        "this file is not an experiment record, or it is damaged",
        where=path,
        hint="Choose another folder.",
    )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    nested = {k: v for k, v in record.items() if isinstance(v, dict)}
    inner = {name: value for part in nested.values() for name, value in part.items()}
    return {k: v for k, v in record.items() if k not in nested} | inner
