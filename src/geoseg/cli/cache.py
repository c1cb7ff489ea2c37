"""The commands ``geoseg cache``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from geoseg.cli.options import Json, print_json

if TYPE_CHECKING:
    from geoseg.workflows.cache import CacheInfo

app = typer.Typer(
    help="Features of points that trainings keep.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Cache = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--cache", help="Folder of the features. [default: ~/.cache/geoseg/features]"),
]


@app.command("info")
def cache_info(cache: Cache = None, json_: Json = False) -> None:
    """Say where features are kept, and how much they take."""
    from geoseg.workflows.cache import cache_info as run

    _print(run(cache), json_=json_)


@app.command("clear")
def cache_clear(cache: Cache = None, json_: Json = False) -> None:
    """Remove all kept features; the next training reads them anew."""
    from geoseg.workflows.cache import cache_clear as run

    _print(run(cache), json_=json_, done="Removed: ")


def _print(found: CacheInfo, *, json_: bool, done: str = "") -> None:
    if json_:
        print_json({"folder": str(found.folder), "files": found.files, "bytes": found.bytes})
        return
    typer.echo(f"{done}{found.folder}: {found.files} file(s), {found.bytes / 2**20:,.1f} MiB")
