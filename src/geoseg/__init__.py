"""GeoSeg-PointAI: a handful of labelled points becomes a land-cover map.

The names below are all there is to import; each is loaded when it is first used::

    import geoseg

    segmenter = geoseg.PointSegmenter("quick").fit("orthophoto.tif", "field.gpkg")
    class_map = segmenter.predict("orthophoto.tif")
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg import losses
    from geoseg.errors import (
        DatasetError,
        GeoSegError,
        GeoSegWarning,
        LegendError,
        ModelFileError,
        OutputError,
        PixelValuesError,
        PointsError,
        RasterError,
        SettingsError,
        StoppedError,
        TrainingError,
    )
    from geoseg.losses import PFCELoss
    from geoseg.workflows.assessment.evaluate import Evaluation
    from geoseg.workflows.library.commands import (
        assess_design,
        assess_estimate,
        audit_points,
        demo,
        evaluate_files,
        experiment,
        export,
        info,
        picture,
        predict,
        sample,
        split_points,
        train,
    )
    from geoseg.workflows.library.module_maps import predict_raster
    from geoseg.workflows.library.not_fitted import NotFittedError
    from geoseg.workflows.library.points import Points, sample_points
    from geoseg.workflows.library.scoring import evaluate
    from geoseg.workflows.library.segmenter import PointSegmenter, load_model

__version__ = version("geoseg-pointai")

__all__ = [
    "DatasetError",
    "Evaluation",
    "GeoSegError",
    "GeoSegWarning",
    "LegendError",
    "ModelFileError",
    "NotFittedError",
    "OutputError",
    "PFCELoss",
    "PixelValuesError",
    "PointSegmenter",
    "Points",
    "PointsError",
    "RasterError",
    "SettingsError",
    "StoppedError",
    "TrainingError",
    "__version__",
    "assess_design",
    "assess_estimate",
    "audit_points",
    "demo",
    "evaluate",
    "evaluate_files",
    "experiment",
    "export",
    "info",
    "load_model",
    "losses",
    "picture",
    "predict",
    "predict_raster",
    "sample",
    "sample_points",
    "split_points",
    "train",
]

_MODULES = {
    "Evaluation": "workflows.assessment.evaluate",
    "NotFittedError": "workflows.library.not_fitted",
    "PFCELoss": "losses",
    "PointSegmenter": "workflows.library.segmenter",
    "Points": "workflows.library.points",
    "evaluate": "workflows.library.scoring",
    "load_model": "workflows.library.segmenter",
    "predict_raster": "workflows.library.module_maps",
    "sample_points": "workflows.library.points",
    **dict.fromkeys(
        (
            *("assess_design", "assess_estimate", "demo", "evaluate_files", "experiment", "export", "info"),
            *("picture", "predict", "sample", "train", "audit_points", "split_points"),
        ),
        "workflows.library.commands",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch and rasterio take seconds to load."""
    if name not in __all__:
        raise AttributeError(f"module 'geoseg' has no attribute {name!r}")
    if name == "losses":
        return import_module("geoseg.losses")
    return getattr(import_module(f"geoseg.{_MODULES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    """List the public names alone."""
    return sorted(__all__)
