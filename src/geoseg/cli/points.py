"""The commands ``geoseg points``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import SampleSettings, read_settings

app = typer.Typer(
    help="Work with labelled points.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def _points() -> None:
    """Work with labelled points."""


@app.command(
    "sample", cls=PanelCommand, epilog="Example: geoseg points sample dataset --per-class 10 -o points.gpkg"
)
@with_options(SampleSettings)
def points_sample(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Draw points at random from dense masks, to simulate an annotator."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.sample import sample

    settings = read_settings(SampleSettings, values)
    with progress_bars(quiet) as progress:
        result = sample(settings, progress)
    names, points = result.legend.names, result.points
    counts = dict(zip(names, points.counts(len(names)).tolist(), strict=True))
    record = {"output": str(result.output), "points_total": len(points), "points_by_class": counts}
    record["images"], record["sha256"] = len(set(points.image.tolist())), points.digest()
    if json_:
        print_json(record)
        return
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    typer.echo(f"{len(points)} points on {record['images']} image(s) in {result.output}: {parts}.")
