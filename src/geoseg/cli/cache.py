"""The commands ``geoseg cache``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from geoseg.cli.options import Json, print_json

if TYPE_CHECKING:
    from geoseg.workflows.cache import CacheInfo

app = typer.Typer(
    help="Manage the cache of features at training points.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Cache = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--cache", help="Folder of the feature cache. [default: ~/.cache/geoseg/features]"),
]


@app.command("info")
def cache_info(cache: Cache = None, json_: Json = False) -> None:
    """Show the folder and the size of the feature cache."""
    from geoseg.workflows.cache import cache_info as run

    _print(run(cache), json_=json_)


@app.command("clear")
def cache_clear(cache: Cache = None, json_: Json = False) -> None:
    """Clear the feature cache; the next training computes the features again."""
    from geoseg.workflows.cache import cache_clear as run

    _print(run(cache), json_=json_, done="Removed: ")


def _print(found: CacheInfo, *, json_: bool, done: str = "") -> None:
    if json_:
        print_json({"folder": str(found.folder), "files": found.files, "bytes": found.bytes})
        return
    typer.echo(f"{done}{found.folder}: {found.files} file(s), {found.bytes / 2**20:,.1f} MiB")
