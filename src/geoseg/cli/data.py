"""The commands ``geoseg data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from geoseg.cli.options import Json, Quiet, given, print_json

data_app = typer.Typer(help="Fetch public datasets.", no_args_is_help=True, rich_markup_mode=None)


@data_app.callback()
def _data() -> None:
    """Fetch public datasets."""


@data_app.command("landcover-ai")
def landcover_ai(
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    archive: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="landcover.ai.v1.zip, if it is on this disk already."),
    ] = None,
    url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Where to download it from. [default: its publisher]"),
    ] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """LandCover.ai v1: 41 orthophotos of Poland with masks (1.4 GB; CC BY-NC-SA 4.0)."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.settings import LandCoverSettings, read_settings
    from geoseg.workflows.download import landcover_ai as run

    values = {k: v for k, v in given(locals(), without=("json_", "quiet")).items() if v is not None}
    settings = read_settings(LandCoverSettings, values)
    with progress_bars(quiet) as progress:
        report = run(settings, progress)
    if json_:
        print_json({"folder": str(settings.output), **vars(report)})
        return
    print_table(["class", "share %"], [[n, f"{100 * share:.2f}"] for n, share in report.shares.items()])
    typer.echo(
        f"{report.images} orthophotos, {report.area_km2:.2f} km2 in {settings.output}. {report.licence}"
    )
    splits = "--train-split orthophoto-train --test-split orthophoto-test"
    typer.echo(f"Next: geoseg experiment {settings.output} {splits} -o results")
