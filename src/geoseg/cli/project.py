"""The commands ``geoseg project``."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, print_json, with_options
from geoseg.settings import read_settings
from geoseg.settings.labelling import LabelSettings, ProjectSettings

app = typer.Typer(
    help="Create, open and describe labelling projects.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _project() -> None:
    """Create, open and describe labelling projects."""


@app.command("new", cls=PanelCommand, epilog="Example: geoseg project new lake orthophoto.tif")
@with_options(ProjectSettings)
def project_new(values: dict[str, Any]) -> None:
    """Create a project: a folder with points.gpkg, models and maps."""
    from geoseg.workflows.labelling.project_files import create_project

    settings = read_settings(ProjectSettings, values)
    made = create_project(settings.folder, settings.rasters, name=settings.name)
    typer.echo(f"Project: {made.folder}")
    typer.echo(f"Next: geoseg project open {settings.folder}")


@app.command("open", cls=PanelCommand, epilog="Example: geoseg project open lake")
@with_options(ProjectSettings, LabelSettings, only=("folder", "port", "browser"))
def project_open(values: dict[str, Any]) -> None:
    """Open the page of a project; the same as geoseg label --project FOLDER."""
    from geoseg.cli.extras import with_extra

    folder = values.pop("folder")
    settings = read_settings(LabelSettings, {**values, "project": folder})
    with_extra("serve")
    from geoseg.web.label.server import serve_label

    serve_label(settings, typer.echo, partial(typer.echo, err=True))


@app.command("status", cls=PanelCommand, epilog="Example: geoseg project status lake")
@with_options(ProjectSettings, only=("folder",))
def project_status(values: dict[str, Any], *, json_: Json = False) -> None:
    """Describe a project: rasters, classes, points and models."""
    from geoseg.cli.show import print_table
    from geoseg.workflows.labelling.project_status import describe_project

    settings = read_settings(ProjectSettings, values)
    found = describe_project(settings.folder)
    if json_:
        print_json(found)
        return
    typer.echo(f"{found['name']}: {found['folder']}, revision {found['revision']}")
    for raster in found["rasters"]:
        typer.echo(f"Raster {raster['id']}: {raster['path']}")
    rows = [[one["name"], f"{one['points']:,}", f"{one['check_points']:,}"] for one in found["classes"]]
    print_table(["class", "training points", "check points"], rows)
    typer.echo(f"Unsure: {found['unsure']}")
    for model in found["models"]:
        typer.echo(f"Model: {model}")
