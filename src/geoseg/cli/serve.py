"""The command ``geoseg serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from geoseg.cli.extras import with_extra
from geoseg.cli.options import PanelCommand, with_options
from geoseg.settings.serving import ServeSettings, read_serve_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)
SettingsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        help="TOML file of settings. Environment variables GEOSEG_NAME override it, and options override both."
    ),
]


@app.command(cls=PanelCommand, epilog="Example: geoseg serve model.geoseg --port 5000")
@with_options(ServeSettings, optional=("models",))
def serve(values: dict[str, Any], *, settings: SettingsFile = None) -> None:
    """Serve models over HTTP. Images are mapped in the response, large rasters as jobs."""
    chosen = read_serve_settings(values, settings)
    with_extra("serve")
    from geoseg.web.servers.serving import serve as run

    run(chosen)
