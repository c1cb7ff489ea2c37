"""Validated settings of each command, read once."""

from geoseg.settings.assessment import AssessDesignSettings, AssessEstimateSettings
from geoseg.settings.base import Count, Device, Precision, Seed, Settings, Share, read_settings
from geoseg.settings.experiments import DemoSettings, ExperimentSettings, LandCoverSettings
from geoseg.settings.maps import EvaluateSettings, ExportSettings, PictureSettings, PredictSettings
from geoseg.settings.points import AuditSettings, SplitSettings
from geoseg.settings.sampling import Protocol, SampleSettings, read_protocol
from geoseg.settings.training import TrainingOptions, TrainSettings

__all__ = [
    "AssessDesignSettings",
    "AssessEstimateSettings",
    "AuditSettings",
    "Count",
    "DemoSettings",
    "Device",
    "EvaluateSettings",
    "ExperimentSettings",
    "ExportSettings",
    "LandCoverSettings",
    "PictureSettings",
    "Precision",
    "PredictSettings",
    "Protocol",
    "SampleSettings",
    "Seed",
    "Settings",
    "Share",
    "SplitSettings",
    "TrainSettings",
    "TrainingOptions",
    "read_protocol",
    "read_settings",
]
