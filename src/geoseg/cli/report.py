"""The command ``geoseg report``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import PanelCommand, Quiet, with_options
from geoseg.settings import read_settings
from geoseg.settings.reports import ReportSettings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg report model.geoseg map.tif -o report.html")
@with_options(ReportSettings)
def report(values: dict[str, Any], *, quiet: Quiet = False) -> None:
    """Write one self-contained page about a model and its map: data, method, map, accuracy, confidence, versions."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.report.report import report as run

    settings = read_settings(ReportSettings, values)
    with progress_bars(quiet) as progress:
        typer.echo(f"Report: {run(settings, progress)}")
