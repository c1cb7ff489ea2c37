"""Describe a model file, a raster or a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.geodata.datasets.folders import is_dataset, open_dataset
from geoseg.geodata.outputs.class_maps import read_map_legend, read_origin
from geoseg.geodata.points.training_places import count_places
from geoseg.geodata.reading.crs import crs_name
from geoseg.geodata.reading.grids import describe_missing_georeference
from geoseg.geodata.reading.opening import warp_hint
from geoseg.geodata.reading.rasters import RasterInfo, describe_any_raster
from geoseg.geodata.reading.stacks import stack_members
from geoseg.learning.architecture import Architecture
from geoseg.learning.model_record import ModelRecord, read_record
from geoseg.workflows.library_errors import translate_library_errors


@translate_library_errors
def info(path: Path) -> dict[str, Any]:
    """Return a description of a file or folder as JSON values; ``kind`` names its type.

    Raises:
        ModelFileError: A .geoseg file cannot be read.
        RasterError: Any other file is not a raster.
    """
    if is_dataset(path):
        return _of_dataset(path)
    if path.suffix == ".geoseg":
        return _of_model(path, read_record(path))
    return _of_raster(path)


def _of_model(path: Path, record: ModelRecord) -> dict[str, Any]:
    training = dict(record.training)
    history = training.pop("history", [])
    training.pop("places", None)
    return {
        "kind": "model",
        "file": str(path),
        "recipe": record.recipe,
        **_network(record.architecture),
        "patch_px": record.architecture.patch_px,
        "classes": list(record.legend.names),
        "colors": [c.color for c in record.legend.classes],
        "bands": list(record.bands),
        "indices": [[record.bands[position] for position in pair] for pair in record.normalisation.indices],
        "dtype": record.dtype,
        "resolution_m": record.resolution_m,
        "context_px": record.context_px,
        **_feature_space(record.feature_space),
        "epochs": len(history),
        "last_epoch": history[-1] if history else None,
        "training": training,
    }


def _network(architecture: Architecture) -> dict[str, Any]:
    """Return the backbone and output stride of a network, or the head on bands; nothing for a forest."""
    if architecture.extractor == "bands":
        return {"features": "bands", "head": architecture.head}
    if architecture.head == "forest":
        return {}
    return {"backbone": architecture.backbone, "output_stride": architecture.output_stride}


def _feature_space(space: FeatureSpace | None) -> dict[str, Any]:
    """Return dataset and version of features; nothing for images."""
    return {} if space is None else {"feature_space": space.describe()}


def _of_raster(path: Path) -> dict[str, Any]:
    raster = describe_any_raster(path)
    classes = _classes(path)
    return {
        "kind": "class map" if classes else "raster",
        "file": str(path),
        "height": raster.height,
        "width": raster.width,
        "bands": raster.bands,
        "dtype": raster.dtype,
        "crs": None if raster.crs is None else crs_name(raster.crs),
        "transform": list(raster.transform),
        "resolution_m": raster.resolution_m,
        "nodata": raster.nodata,
        **_feature_space(raster.feature_space),
        **classes,
        "notes": list(raster.notes),
        "warnings": _doubts(raster),
    }


def _classes(path: Path) -> dict[str, Any]:
    """Return the classes, colours and model of a class map; nothing for other rasters."""
    legend = None if stack_members(path) else read_map_legend(path)
    if legend is None:
        return {}
    model, places = read_origin(path)
    return {
        "classes": list(legend.names),
        "colors": [c.color for c in legend.classes],
        "model": model,
        "training_points": None if places is None else count_places(places),
    }


def _doubts(raster: RasterInfo) -> list[str]:
    """Return a warning if the raster has no complete georeference, so that its maps have none either."""
    if raster.georeferenced_by is not None:
        return [f"The raster is georeferenced by {raster.georeferenced_by} only. {warp_hint(raster)}"]
    missing = describe_missing_georeference(raster)
    return [] if missing is None else [missing]


def _of_dataset(path: Path) -> dict[str, Any]:
    dataset = open_dataset(path)
    return {
        "kind": "dataset",
        "folder": str(path),
        "images": list(dataset.images),
        "masks": len(dataset.masks),
        "splits": sorted(p.stem for p in path.glob("*.txt")),
        "classes": list(dataset.legend.names) if dataset.legend else None,
    }
