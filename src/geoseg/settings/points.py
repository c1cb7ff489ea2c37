"""Settings for auditing and splitting field points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from geoseg.settings.base import (
    Count,
    Nodata,
    PointReadingSettings,
    Seed,
    Share,
    Stack,
    option,
    with_stack,
)

BLOCK_PX = 256
"""Side of the blocks that a split starts from: a training patch."""


class AuditSettings(PointReadingSettings):
    """Audit the points of a file."""

    arguments = frozenset({"points"})

    points: Path = option(help="Point file.")
    raster: Annotated[tuple[Path, ...], Field(min_length=1)] = option(
        help="Raster that the points label, or a folder of rasters; repeat it for several."
    )
    output: Path | None = option(
        None, help="GeoPackage to write: all points with the reason why they are dropped, or none."
    )
    error_column: str | None = option(
        None,
        help="Column with the position error of each point in metres.",
        shown="accuracy, gps_error or another usual name",
    )
    suspicious: Literal["forest", "quick"] | None = option(
        None,
        help="Also check the labels against a prediction from their features: forest (colour and texture) or quick "
        "(bundled backbone). It takes 2 to 10 times as long as the rest of the audit.",
        shown="no check",
    )
    overwrite: bool = option(False, help="Replace an existing audit.")
    stack: Stack = ()
    legend: Path | None = option(
        None, help="Legend file (JSON); points of other classes are dropped.", panel="Rasters"
    )
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = option(
        None, help="Bands that training will use, from 1, such as 1,2,3.", panel="Rasters", shown="all"
    )
    nodata: Nodata = None
    strict_nodata: bool = option(
        False,
        help="Treat a pixel as invalid if any of its bands is nodata, instead of only if all are.",
        panel="Rasters",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_stack(cls, values: Any) -> Any:
        return with_stack(values, "raster", is_list=True)


class SplitSettings(PointReadingSettings):
    """Set check points aside by place."""

    arguments = frozenset({"points"})

    points: Path = option(help="Point file.")
    output: Path = option(help="Folder to write NAME-train.gpkg and NAME-check.gpkg to.")
    check: Annotated[Share, Field(gt=0)] = option(0.25, help="Share of each class to set aside, 0 to 1.")
    by_place: bool = option(
        True,
        help="Set whole blocks aside. Without it, points are drawn at random, and scores at their neighbours are too high.",
    )
    raster: Path | None = option(
        None,
        help="Raster that the points label; it gives the size of the blocks, and points that it cannot use are left out.",
        shown="none",
    )
    block: Count | None = option(
        None,
        help="Side of the blocks in pixels, to begin with; smaller ones are used if the points lie in too few.",
        shown=f"{BLOCK_PX}, the side of a training patch",
    )
    seed: Seed = option(0, help="Random seed; the same seed gives the same split.")
    overwrite: bool = option(False, help="Replace the files of an earlier split.")
    stack: Stack = ()

    @model_validator(mode="before")
    @classmethod
    def _read_stack(cls, values: Any) -> Any:
        return with_stack(values, "raster")
