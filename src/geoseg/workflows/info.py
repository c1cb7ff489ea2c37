"""Say what a file is: a model, a raster or a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.geodata.datasets import is_dataset, open_dataset
from geoseg.geodata.rasters import describe_raster
from geoseg.learning.model_record import ModelRecord, read_record
from geoseg.workflows.faults import plain_faults


@plain_faults
def info(path: Path) -> dict[str, Any]:
    """Return what is known of a file or folder, as JSON values under ``kind`` and more.

    Raises:
        ModelFileError: A .geoseg file cannot be read.
        RasterError: Any other file is no raster.
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
        "backbone": record.architecture.backbone,
        "patch_px": record.architecture.patch_px,
        "output_stride": record.architecture.output_stride,
        "classes": list(record.legend.names),
        "bands": list(record.bands),
        "indices": [[record.bands[position] for position in pair] for pair in record.normalisation.indices],
        "dtype": record.dtype,
        "resolution_m": record.resolution_m,
        "context_px": record.context_px,
        "epochs": len(history),
        "last_epoch": history[-1] if history else None,
        "training": training,
    }


def _of_raster(path: Path) -> dict[str, Any]:
    raster = describe_raster(path)
    return {
        "kind": "raster",
        "file": str(path),
        "height": raster.height,
        "width": raster.width,
        "bands": raster.bands,
        "dtype": raster.dtype,
        "crs": raster.crs,
        "transform": list(raster.transform),
        "resolution_m": raster.resolution_m,
        "nodata": raster.nodata,
    }


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
