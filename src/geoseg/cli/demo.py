"""The command ``geoseg demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import DemoSettings, read_settings

if TYPE_CHECKING:
    from geoseg.workflows.demo import DemoResult

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg demo -o demo-results")
@with_options(DemoSettings)
def demo(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Run the whole job on invented landscapes: points, training, maps, scores, pictures."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.demo import demo as run

    settings = read_settings(DemoSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.record)
        return
    _print(result)


def _print(result: DemoResult) -> None:
    from geoseg.cli.show import print_table

    print_table(result.header, result.rows)
    typer.echo(f"\nEverything is in {result.folder}/; look at {result.figure} first.")
    typer.echo("\nWith your own orthophoto and field points:")
    typer.echo("  geoseg train orthophoto.tif --points field.gpkg -o model.geoseg")
    typer.echo("  geoseg predict model.geoseg orthophoto.tif -o map.tif --confidence confidence.tif")
    typer.echo("  geoseg evaluate map.tif --points check.gpkg")
