"""Settings of labelling projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from geoseg.settings.base import Seed, Settings, option


class LabelSettings(Settings):
    """Open the labelling page of a project."""

    arguments = frozenset({"rasters"})

    rasters: tuple[Path, ...] = option((), help="Rasters to label; none if the project has them already.")
    project: Path | None = option(
        None,
        help="Folder of the project, which is created if it does not exist.",
        shown="RASTER.project beside the first raster",
    )
    port: Annotated[int, Field(ge=0, le=65535)] | None = option(
        None, help="Port of the page; 0 takes any free one.", shown="the first free one from 8420"
    )
    browser: bool = option(True, help="Open the page in the browser.")
    host: str = option("127.0.0.1", help="Address to listen on.", panel="Server")
    allow_network: bool = option(
        False, help="Allow an address that other machines can reach, without encryption.", panel="Server"
    )
    cache_gib: Annotated[float, Field(gt=0)] = option(
        8.0, help="Largest size of the features in the project, in GiB.", panel="Server"
    )


class ProjectSettings(Settings):
    """Create or open a labelling project."""

    arguments = frozenset({"folder", "rasters"})

    folder: Path = option(help="Folder of the project.")
    rasters: tuple[Path, ...] = option((), help="Rasters of the project.")
    name: str | None = option(None, help="Title of the project.", shown="name of the folder")


class SuggestSettings(Settings):
    """Suggest the next places to label in a project."""

    arguments = frozenset({"folder"})

    folder: Path = option(help="Folder of the project.")
    raster: str | None = option(None, help="Id of the raster, such as r1.", shown="the first of the project")
    count: Annotated[int, Field(ge=1, le=1000)] = option(20, help="Number of places.")
    output: Path | None = option(None, help="GeoJSON to write, in the CRS of the raster.")
    overwrite: bool = option(False, help="Replace an existing file.")
    seed: Seed = option(0, help="Random seed; the same seed gives the same places.")
