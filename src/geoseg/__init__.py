"""GeoSeg-PointAI: a handful of labelled points becomes a land-cover map.

The verbs are functions that take validated settings::

    from geoseg import PredictSettings, TrainSettings, predict, train
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.errors import GeoSegError, GeoSegWarning
    from geoseg.settings import (
        DemoSettings,
        EvaluateSettings,
        ExperimentSettings,
        ExportSettings,
        PictureSettings,
        PredictSettings,
        SampleSettings,
        TrainSettings,
    )
    from geoseg.workflows.assessment.evaluate import evaluate
    from geoseg.workflows.demo import demo
    from geoseg.workflows.experiment.run import experiment
    from geoseg.workflows.info import info
    from geoseg.workflows.mapping.export import export
    from geoseg.workflows.mapping.predict import predict
    from geoseg.workflows.picture import picture
    from geoseg.workflows.sample import sample
    from geoseg.workflows.training.train import train

__version__ = version("geoseg-pointai")

__all__ = [
    "DemoSettings",
    "EvaluateSettings",
    "ExperimentSettings",
    "ExportSettings",
    "GeoSegError",
    "GeoSegWarning",
    "PictureSettings",
    "PredictSettings",
    "SampleSettings",
    "TrainSettings",
    "__version__",
    "demo",
    "evaluate",
    "experiment",
    "export",
    "info",
    "picture",
    "predict",
    "sample",
    "train",
]


_HOMES = {
    "demo": "workflows.demo",
    "evaluate": "workflows.assessment.evaluate",
    "experiment": "workflows.experiment.run",
    "export": "workflows.mapping.export",
    "info": "workflows.info",
    "picture": "workflows.picture",
    "predict": "workflows.mapping.predict",
    "sample": "workflows.sample",
    "train": "workflows.training.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch and rasterio take seconds to load."""
    if name not in __all__:
        raise AttributeError(f"module 'geoseg' has no attribute {name!r}")
    home = "errors" if name in ("GeoSegError", "GeoSegWarning") else _HOMES.get(name, "settings")
    return getattr(import_module(f"geoseg.{home}"), name)
