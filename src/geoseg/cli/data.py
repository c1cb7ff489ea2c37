"""The commands ``geoseg data``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import LandCoverSettings, read_settings

app = typer.Typer(
    help="Download public datasets.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def _data() -> None:
    """Download public datasets."""


@app.command("landcover-ai", cls=PanelCommand, epilog="Example: geoseg data landcover-ai landcover")
@with_options(LandCoverSettings)
def landcover_ai(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """LandCover.ai v1: 41 orthophotos of Poland with masks (1.4 GB; CC BY-NC-SA 4.0)."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.workflows.download import landcover_ai as run

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
