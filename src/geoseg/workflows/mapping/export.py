"""Export a model to ONNX for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import ModelFileError, SettingsError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output, whole_file
from geoseg.geodata.outputs.file_kinds import MADE_BY, ONNX
from geoseg.inference.graphs.assembly import with_fixed_size
from geoseg.learning.model_file import ModelRecord, read_model
from geoseg.settings import ExportSettings
from geoseg.workflows.library_errors import translate_library_errors


@translate_library_errors
def export(settings: ExportSettings) -> Path:
    """Write a model as ONNX, with the metadata that the QGIS plugin Deepness reads.

    Raises:
        ModelFileError: The model file cannot be read, or the model uses spectral indices.
        SettingsError: The tile size is not a multiple of 32.
        OutputError: The file exists or cannot be written.
    """
    check_apart([settings.output], [settings.model])
    check_output(settings.output, ONNX, overwrite=settings.overwrite)
    model = read_model(settings.model)
    if model.record.normalisation.indices:
        raise ModelFileError(
            "a model with spectral indices cannot be exported, because other programs do not compute them",
            where=settings.model,
            hint="Train one without --indices.",
        )
    if settings.tile % 32:
        raise SettingsError(
            "invalid tile size", where="--tile", expected="a multiple of 32", got=settings.tile
        )
    content = _with_metadata(
        with_fixed_size(model.onnx, settings.tile), metadata(model.record, settings.tile)
    )
    with whole_file(settings.output, ONNX, overwrite=settings.overwrite) as partial:
        partial.write_bytes(content)
    return settings.output


def metadata(record: ModelRecord, tile_px: int) -> dict[str, Any]:
    """Return metadata for Deepness, which divides integers by their maximum before it standardises."""
    largest = float(np.iinfo(record.dtype).max) if np.dtype(record.dtype).kind in "ui" else 1.0
    context = record.architecture.patch_px // 2 if record.context_px is None else record.context_px
    values: dict[str, Any] = {
        "made_by": MADE_BY,
        "model_type": "Segmentor",
        "class_names": {str(c.id): c.name for c in record.legend.classes},
        "tiles_size": tile_px,
        "tile_size": tile_px,
        "tiles_overlap": min(90, round(100 * 2 * context / tile_px)),
        "standardization_mean": [mean / largest for mean in record.normalisation.mean],
        "standardization_std": [deviation / largest for deviation in record.normalisation.deviation],
    }
    if record.resolution_m is not None:
        values["resolution"] = round(record.resolution_m * 100, 4)
    return values


def _with_metadata(content: bytes, values: dict[str, Any]) -> bytes:
    import onnx

    graph = onnx.load_from_string(content)
    for key, value in values.items():
        graph.metadata_props.add(key=key, value=json.dumps(value))
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())
