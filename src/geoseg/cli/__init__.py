"""The terminal door: parses, calls one workflow, prints. Heavy imports wait until a verb runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.cache import cache_app
from geoseg.cli.data import data_app
from geoseg.cli.evaluate import evaluate, picture
from geoseg.cli.experiments import experiment
from geoseg.cli.keys import keys_app
from geoseg.cli.maps import export, predict
from geoseg.cli.options import (
    ClassColumn as ClassColumn,
)
from geoseg.cli.options import (
    Data as Data,
)
from geoseg.cli.options import (
    Device as Device,
)
from geoseg.cli.options import (
    Json,
    Overwrite,
    Quiet,
    Seed,
    given,
    print_json,
)
from geoseg.cli.options import (
    LegendFile as LegendFile,
)
from geoseg.cli.options import (
    OutputStride as OutputStride,
)
from geoseg.cli.options import (
    Precision as Precision,
)
from geoseg.cli.options import (
    Window as Window,
)
from geoseg.cli.options import (
    listed as listed,
)
from geoseg.cli.points import points_app
from geoseg.cli.serve import serve
from geoseg.cli.train import train
from geoseg.cli.worker import worker

if TYPE_CHECKING:
    from geoseg.workflows.assessment.evaluate import Evaluation as Evaluation
    from geoseg.workflows.demo import DemoResult

app = typer.Typer(
    help="Turn a handful of labelled points into a land-cover map.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(points_app, name="points")
app.add_typer(data_app, name="data")
app.add_typer(keys_app, name="keys")
app.add_typer(cache_app, name="cache")


def _version(wanted: bool) -> None:
    if wanted:
        from geoseg import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a handful of labelled points into a land-cover map."""


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A model file, a raster, or a dataset folder.")],
    json_: Json = False,
) -> None:
    """Say what a file is."""
    from geoseg.workflows.info import info as run

    record = run(path)
    if json_:
        print_json(record)
        return
    for name, value in record.items():
        if name != "training":
            typer.echo(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


app.command()(train)
app.command()(evaluate)
app.command()(picture)
app.command()(predict)
app.command()(export)
app.command()(experiment)
app.command()(serve)
app.command()(worker)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "demo-results"
    ),
    seed: Seed = 0,
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole job on invented landscapes: points, training, maps, scores, pictures."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import DemoSettings, read_settings
    from geoseg.workflows.demo import demo as run

    settings = read_settings(DemoSettings, given(locals(), without=("json_", "quiet")))
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.record)
        return
    _print_demo(result)


def _print_demo(result: DemoResult) -> None:
    from geoseg.cli.show import print_table

    print_table(result.header, result.rows)
    typer.echo(f"\nEverything is in {result.folder}/; look at {result.figure} first.")
    typer.echo("\nWith data of your own, an orthophoto and a file of field points:")
    typer.echo("  geoseg train orthophoto.tif --points field.gpkg -o model.geoseg")
    typer.echo("  geoseg predict model.geoseg orthophoto.tif -o map.tif --confidence confidence.tif")
    typer.echo("  geoseg evaluate map.tif --points check.gpkg")
