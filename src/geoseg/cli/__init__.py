"""The command line: each command parses its options, calls one workflow and prints the result."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = {
    "label": "Click points in the browser and see the map.",
    "project": "Create, open and describe labelling projects.",
    "suggest": "Suggest where the next points of a project help most.",
    "train": "Train a model from labelled points.",
    "predict": "Predict class maps of rasters.",
    "evaluate": "Score a class map or a model against points or masks.",
    "assess": "Estimate accuracy and areas of a finished map.",
    "report": "Write one page about a model and its map for a reviewer.",
    "info": "Describe a model file, a raster, a class map or a dataset folder.",
    "demo": "Run the whole job on invented landscapes.",
    "points": "Audit, split and draw labelled points.",
    "picture": "Draw maps next to their images and the reference.",
    "experiment": "Compare recipes and budgets on a dataset.",
    "serve": "Serve models over HTTP.",
    "worker": "Run the jobs of a service.",
    "keys": "Manage the API keys of a service.",
    "export": "Export a model as ONNX for QGIS Deepness.",
    "data": "Download public datasets.",
    "cache": "Show or clear the cache of features.",
}
"""Descriptions by command. Each is a Typer application in the module of its name, imported when it is used."""


class LazyGroup(TyperGroup):
    """Commands that are imported when they are used, so that ``geoseg --help`` answers at once."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the commands, in the order of a first session."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import a command; return None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        return get_command(import_module(f"geoseg.cli.{cmd_name}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    help="Turn a handful of labelled points into a land-cover map.",
    epilog="First steps: geoseg train orthophoto.tif --points field.gpkg -o model.geoseg, then geoseg predict "
    "model.geoseg orthophoto.tif -o map.tif",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
