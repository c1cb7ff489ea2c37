"""The command ``geoseg picture``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import PanelCommand, Quiet, with_options
from geoseg.settings import PictureSettings, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg picture dataset maps/ -o maps.png")
@with_options(PictureSettings)
def picture(values: dict[str, Any], *, quiet: Quiet = False) -> None:
    """Draw maps next to their images and the reference."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.picture import picture as run

    settings = read_settings(PictureSettings, values)
    with progress_bars(quiet) as progress:
        typer.echo(run(settings, progress))
