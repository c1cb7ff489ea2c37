"""What the commands share: their common options, and how values pass from them to settings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from geoseg.errors import SettingsError

LISTS = {
    "train": ("--bands", "--indices", "--parts"),
    "predict": ("--also",),
    "experiment": ("--recipes", "--per-class", "--bands", "--indices", "--parts"),
}
"""Options of each command that take several values."""
PARTS = ["self-training", "cutmix", "affinity"]
"""Those of the settings: a function's signature is read before they are imported."""

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only warnings.")]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="In what to compute: auto, float32 or bf16.")]
LegendFile = Annotated[Optional[Path], typer.Option(help="Legend file (JSON).")]  # noqa: UP045
MaskValues = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Class of each value of the masks, such as 255=water,0=unlabelled or #ff0000=roof."),
]
ClassColumn = Annotated[Optional[str], typer.Option(help="Column of the point file that holds the class.")]  # noqa: UP045
PointLayer = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Layer of the point file. [default: the points, and those with a class column]"),
]
PointCrs = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="CRS of the points where their file declares none, such as EPSG:25832."),
]
PerPolygon = Annotated[
    int, typer.Option(help="Most points from each polygon or line of the point file; together they weigh 1.")
]
Dropped = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Write the points that could not be used, with the reasons (.gpkg)."),
]
Seed = Annotated[int, typer.Option(help="Seed; the same seed gives the same result.")]
Data = Annotated[Path, typer.Argument(help="Folder of images/ and masks/ with split lists.")]
OutputStride = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(help="Pixels per cell of the logits: 8 maps finer with a model trained at 16."),
]
Bands = Annotated[Optional[list[str]], typer.Option(help="Bands to use, such as 1,2,3. [default: all]")]  # noqa: UP045
Indices = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Normalised differences of bands that join them, such as 4-1,2-4 (NDVI, NDWI)."),
]
Nodata = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Pixel value that stands for no data, besides the one that the file declares."),
]
AnyValues = Annotated[
    bool, typer.Option("--any-values", help="Use rasters whose values are on another scale too.")
]
StrictNodata = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(help="Nodata in one band makes a pixel invalid, not only in all. [default: as at training]"),
]
Window = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(help="Side of the windows in pixels; more is read around them. [default: by the model]"),
]


def given(values: dict[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    """Return a command's options by name (called with its ``locals()``, before or after its imports)."""
    return {k: v for k, v in values.items() if k not in without and not callable(v)}


def listed(values: Sequence[object] | None) -> list[str]:
    """Return the values of an option that was repeated, or given as a list with commas."""
    return [part.strip() for value in values or () for part in str(value).split(",") if part.strip()]


def check_lists(arguments: Sequence[str]) -> None:
    """Refuse a list written with blanks: its second value would be taken for a file.

    Raises:
        SettingsError: A word that is no file follows the value of an option that takes several.
    """
    options = LISTS.get(arguments[0], ()) if arguments else ()
    for option, value, after in zip(arguments, arguments[1:], arguments[2:], strict=False):
        is_word = re.fullmatch(r"\w[\w,-]*", after) is not None
        if option in options and is_word and not Path(after).exists():
            raise SettingsError(
                f"there is no file or folder {after!r}",
                where=f"{option} {value} {after}",
                hint=f"Write a list with commas, such as {option} {value.strip(',')},{after}, or repeat {option}.",
            )


def print_json(record: dict[str, Any]) -> None:
    """Print a record for scripts."""
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
