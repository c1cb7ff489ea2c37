"""The command ``geoseg predict``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import PredictSettings, read_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg predict model.geoseg orthophoto.tif -o map.tif")
@with_options(PredictSettings, optional=("rasters",))
def predict(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Predict class maps as cloud-optimised GeoTIFFs; repeat the command to continue a stopped map."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.mapping.predict import predict as run

    settings = read_settings(PredictSettings, values)
    with progress_bars(quiet) as progress:
        results = run(settings, progress)
    if json_:
        print_json({"maps": [_plain(vars(r)) for r in results]})
        return
    for result in results:
        raster = result.raster.name if settings.stack else result.raster
        typer.echo(f"{raster} -> {', '.join(map(str, result.files.values()))}")
        for area in result.areas:
            if area["name"] == "unsure" and settings.abstain is not None:
                size = "" if area["hectares"] is None else f"{area['hectares']:,.4g} ha, "
                typer.echo(
                    f"Unsure (confidence below {settings.abstain:g}): {size}{area['share']:.1%} of the mapped area."
                )
    first = next(iter(results[0].files.values())) if results else "map.tif"
    typer.echo(f"Next: {shlex.join(['geoseg', 'evaluate', str(first), '--points', 'check.gpkg'])}")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: paths become text."""
    return {
        k: str(v) if isinstance(v, Path) else _plain(v) if isinstance(v, dict) else v
        for k, v in values.items()
    }
