"""Collect the content of a report: model record, map, audit and assessments."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import SettingsError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output, write_text
from geoseg.geodata.outputs.class_maps import read_map_legend, read_origin
from geoseg.geodata.outputs.file_kinds import MODEL_REPORT
from geoseg.geodata.outputs.map_overviews import read_map_overview
from geoseg.geodata.reading.rasters import Validity, open_raster
from geoseg.learning.model_record import ModelRecord, read_record
from geoseg.settings.reports import ReportSettings
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.report.content import ReportContent
from geoseg.workflows.value_check import check_values

_KEYS = {"audit": "dropped", "estimate": "users", "check": "miou"}
_COMMANDS = {"audit": "points audit", "estimate": "assess estimate", "check": "evaluate"}


@translate_library_errors
def report(settings: ReportSettings, progress: Progress | None = None) -> Path:
    """Write a self-contained page about a model and its map.

    Raises:
        ModelFileError: The model file cannot be read.
        RasterError: The map or the raster cannot be read.
        SettingsError: A JSON file is not what its option takes, or the map has other classes than the model.
        OutputError: The page exists or cannot be written.
    """
    # Import matplotlib only when it is needed.
    from geoseg.workflows.report.report_page import report_page

    progress = progress or PythonWarnings()
    inputs = [settings.model, settings.class_map, settings.raster]
    check_apart([settings.output], [*inputs, settings.audit, settings.estimate, settings.check])
    check_output(settings.output, MODEL_REPORT, overwrite=settings.overwrite)
    content = collect(settings)
    for warning in content.warnings:
        progress.warn(warning)
    write_text(settings.output, report_page(content), MODEL_REPORT, overwrite=settings.overwrite)
    return settings.output


def collect(settings: ReportSettings) -> ReportContent:
    """Read all inputs of a report."""
    record = read_record(settings.model)
    legend = read_map_legend(settings.class_map)
    if legend is None or legend.names != record.legend.names:
        raise SettingsError(
            "the map does not have the classes of the model",
            where=settings.class_map,
            expected=", ".join(record.legend.names),
            got="no class names" if legend is None else ", ".join(legend.names),
            hint="Give the map that this model made.",
        )
    hashes = {path.name: _sha256(path) for path in (settings.model, settings.class_map)}
    made_by, _ = read_origin(settings.class_map)
    warnings = []
    if made_by is None or made_by.get("sha256") != hashes[settings.model.name]:
        warnings.append(f"{settings.class_map.name} does not say that {settings.model.name} made it.")
    return ReportContent(
        settings,
        record,
        read_map_overview(settings.class_map),
        hashes,
        {name: _read_json(path, name) for name in _KEYS if (path := getattr(settings, name)) is not None},
        _differences(settings.raster, record),
        tuple(warnings),
    )


def _differences(raster: Path | None, record: ModelRecord) -> tuple[str, ...] | None:
    if raster is None:
        return None
    validity = Validity(None, record.strict_nodata)
    with open_raster(raster, bands=record.bands, validity=validity) as source:
        return check_values(source, record, any_values=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path, name: str) -> dict[str, Any]:
    expected = f"the output of geoseg {_COMMANDS[name]} --json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            "the JSON file cannot be read", where=path, expected=expected, got=str(error)
        ) from error
    if not isinstance(document, dict) or _KEYS[name] not in document:
        raise SettingsError("the JSON file is of another kind", where=path, expected=expected)
    return document
