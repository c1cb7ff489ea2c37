"""The command ``geoseg suggest``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import read_settings
from geoseg.settings.labelling import SuggestSettings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg suggest lake --count 20 -o next.geojson")
@with_options(SuggestSettings)
def suggest(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Suggest where the next points of a project help most."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.workflows.labelling.suggest import suggest_places

    settings = read_settings(SuggestSettings, values)
    with progress_bars(quiet) as progress:
        found = suggest_places(settings, progress)
    if json_:
        print_json(found)
        return
    rows = [[f"{one['x']:.2f}", f"{one['y']:.2f}", one["reason"]] for one in found["suggestions"]]
    print_table(["x", "y", "reason"], rows)
    if found["message"]:
        typer.echo(found["message"])
    if settings.output is not None:
        typer.echo(f"Places: {settings.output}")
