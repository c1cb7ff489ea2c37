"""The command ``geoseg train``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.cli.validation import print_validation
from geoseg.settings import TrainSettings, read_settings

if TYPE_CHECKING:
    from geoseg.workflows.training.train import TrainResult

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    cls=PanelCommand, epilog="Example: geoseg train orthophoto.tif --points field.gpkg -o model.geoseg"
)
@with_options(TrainSettings, optional=("data",))
def train(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Train a model from labelled points."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.training.train import train as run

    settings = read_settings(TrainSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if result.rank == 0:
        _print(result, settings, json_=json_)


def _print(result: TrainResult, settings: TrainSettings, *, json_: bool) -> None:
    if json_:
        kept = {k: v for k, v in result.record.training.items() if k not in ("history", "settings", "places")}
        curves = {"curves": str(result.curves)} if result.curves else {}
        print_json({"model": str(result.model), **curves, **kept, "warnings": list(result.warnings)})
        return
    typer.echo(f"{result.model}: {result.summary}.")
    print_validation(result.validation.to_record())
    if result.curves:
        typer.echo(f"Curves: {result.curves}")
    rasters = ["--stack", *settings.stack] if settings.stack else [settings.data]
    named = map(str, rasters) if settings.stack or settings.data.is_file() else ["RASTER.tif"]
    typer.echo(f"Next: {shlex.join(['geoseg', 'predict', str(result.model), *named, '-o', 'map.tif'])}")
