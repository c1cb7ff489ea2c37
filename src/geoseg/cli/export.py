"""The command ``geoseg export``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import PanelCommand, with_options
from geoseg.settings import ExportSettings, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg export model.geoseg -o model.onnx")
@with_options(ExportSettings)
def export(values: dict[str, Any]) -> None:
    """Export a model as ONNX, in the form that the QGIS plugin Deepness reads."""
    from geoseg.workflows.mapping.export import export as run

    settings = read_settings(ExportSettings, values)
    typer.echo(f"{settings.model} -> {run(settings)}")
