"""File functions for the web service: checks of uploaded images, atomic writes, unfinished maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.geodata.outputs.atomic_files import remove_leftovers, whole_file
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.reading.image_checks import (
    ForeignImageError,
    ImageHeader,
    ImageTooLargeError,
    check_image,
    sniff,
)
from geoseg.geodata.reading.image_formats import sniff_file
from geoseg.learning.model_record import ModelRecord, read_record

__all__ = [
    "ForeignImageError",
    "ImageHeader",
    "ImageTooLargeError",
    "check_image",
    "most_bands",
    "most_bands_of_file",
    "remove_leftovers",
    "sniff",
    "sniff_file",
    "unfinished_identity",
    "whole_file",
]


def most_bands(record: ModelRecord, limit: int) -> int:
    """Return the largest number of bands of an image for a model: of features it may have as many as in training."""
    space = record.feature_space
    return limit if space is None else max(limit, space.bands)


def most_bands_of_file(model: Path, limit: int) -> int:
    """Return :func:`most_bands` of a model file.

    Raises:
        ModelFileError: The model file cannot be read.
    """
    return most_bands(read_record(model), limit)


def unfinished_identity(class_map: Path) -> dict[str, Any] | None:
    """Return the model and settings of an unfinished map, or None if it has no finished strip.

    Raises:
        OutputError: The record cannot be read.
    """
    return StripStore(class_map).identity()
