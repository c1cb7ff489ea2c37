"""Content of a report: model record, map, audit and assessments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoseg.geodata.outputs.map_overviews import MapOverview
from geoseg.learning.model_record import ModelRecord
from geoseg.settings.reports import ReportSettings


@dataclass(frozen=True)
class ReportContent:
    """Content of a report.

    Attributes:
        settings: The settings.
        record: The record of the model.
        class_map: The map.
        hashes: SHA-256 by file.
        documents: JSON documents that were given: audit, estimate, check.
        differences: Differences between the raster of the map and the training; None if no raster was given.
        warnings: Problems found while collecting, one sentence each.
    """

    settings: ReportSettings
    record: ModelRecord
    class_map: MapOverview
    hashes: dict[str, str]
    documents: dict[str, dict[str, Any]]
    differences: tuple[str, ...] | None
    warnings: tuple[str, ...]
