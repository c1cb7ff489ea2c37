"""Settings for the report of a model and its map."""

from __future__ import annotations

from pathlib import Path

from geoseg.settings.base import Settings, option


class ReportSettings(Settings):
    """Write a page about a model and its map."""

    arguments = frozenset({"model", "class_map"})

    model: Path = option(help="Model file.")
    class_map: Path = option(help="Class map made by the model.")
    output: Path = option(help="Page to write (.html).")
    raster: Path | None = option(
        None, help="Raster of the map; its values are compared with those of the training."
    )
    audit: Path | None = option(None, help="JSON file from geoseg points audit --json.")
    estimate: Path | None = option(None, help="JSON file from geoseg assess estimate --json.")
    check: Path | None = option(None, help="JSON file from geoseg evaluate --json at check points or a mask.")
    overwrite: bool = option(False, help="Replace an existing report.")
