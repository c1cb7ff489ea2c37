"""Metadata of a model in the STAC machine-learning-model (MLM) extension, version 1.4."""

from __future__ import annotations

from importlib.metadata import version
from itertools import islice
from typing import Any

from geoseg.learning.model_file import Model

_NAMES = {
    "aspp": "DeepLabV3",
    "linear": "linear head on frozen layers",
    "forest": "random forest",
    "knn": "nearest neighbours",
    "logistic": "logistic regression",
    "svm": "linear support vector machine",
    "mlp": "multilayer perceptron",
}


def mlm_properties(model: Model) -> dict[str, Any]:
    """Return the ``mlm:...`` properties of a model."""
    record = model.record
    architecture = record.architecture
    side = architecture.patch_px
    kind = _NAMES[architecture.head]
    return {
        "mlm:name": f"GeoSeg-PointAI {record.recipe}",
        "mlm:architecture": f"{kind} {architecture.backbone}" if architecture.is_network else kind,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "onnx",
        "mlm:framework_version": version("onnx"),
        "mlm:total_parameters": sum(tensor.size for tensor in model.network.tensors.values()),
        "mlm:input": [
            {
                "name": "pixels",
                "bands": [{"name": f"band {band}"} for band in record.bands],
                "input": {
                    "shape": [-1, len(record.bands), side, side],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [
                    {"type": "z-score", "mean": mean, "stddev": deviation}
                    for mean, deviation in islice(
                        zip(record.normalisation.mean, record.normalisation.deviation, strict=True),
                        len(record.bands),
                    )
                ],
            }
        ],
        "mlm:output": [
            {
                "name": "probabilities",
                "tasks": ["semantic-segmentation"],
                "result": {
                    "shape": [-1, len(record.legend), side, side],
                    "dim_order": ["batch", "classes", "height", "width"],
                    "data_type": "float32",
                },
                "classification:classes": [{"value": c.id, "name": c.name} for c in record.legend.classes],
            }
        ],
        "geoseg:model_sha256": model.sha256,
    }
