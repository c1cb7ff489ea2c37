"""The command ``geoseg label``."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer

from geoseg.cli.extras import with_extra
from geoseg.cli.options import PanelCommand, with_options
from geoseg.settings import read_settings
from geoseg.settings.labelling import LabelSettings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg label orthophoto.tif")
@with_options(LabelSettings)
def label(values: dict[str, Any]) -> None:
    """Click points in the browser, see the map, and be shown where the next points help."""
    settings = read_settings(LabelSettings, values)
    with_extra("serve")
    from geoseg.web.label.server import serve_label

    serve_label(settings, typer.echo, partial(typer.echo, err=True))
