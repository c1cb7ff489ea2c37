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

__all__ = [
    "ForeignImageError",
    "ImageHeader",
    "ImageTooLargeError",
    "check_image",
    "remove_leftovers",
    "sniff",
    "sniff_file",
    "unfinished_identity",
    "whole_file",
]


def unfinished_identity(class_map: Path) -> dict[str, Any] | None:
    """Return the model and settings of an unfinished map, or None if it has no finished strip.

    Raises:
        OutputError: The record cannot be read.
    """
    return StripStore(class_map).identity()
