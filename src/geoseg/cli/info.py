"""The command ``geoseg info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geoseg.cli.options import Json, PanelCommand, print_json
from geoseg.cli.validation import print_validation

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg info model.geoseg")
def info(
    path: Annotated[Path, typer.Argument(help="A model file, a raster, or a dataset folder.")],
    json_: Json = False,
) -> None:
    """Describe a model file, a raster, a class map or a dataset folder."""
    from geoseg.workflows.info import info as run

    record = run(path)
    if json_:
        print_json(record)
        return
    for name, value in record.items():
        if name != "training":
            typer.echo(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    if validation := record.get("training", {}).get("validation"):
        print_validation(validation)
