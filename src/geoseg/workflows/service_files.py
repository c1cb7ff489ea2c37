"""Files as the service needs them: checks of uploaded images, files that appear whole, and maps under way."""

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
    "identity_of_begun",
    "remove_leftovers",
    "sniff",
    "sniff_file",
    "whole_file",
]


def identity_of_begun(class_map: Path) -> dict[str, Any] | None:
    """Return the model and settings that an unfinished map was begun with, or None without any finished strip.

    Raises:
        OutputError: The record cannot be read.
    """
    return StripStore(class_map).identity()
