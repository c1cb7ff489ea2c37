"""The commands about point files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from geoseg.cli.options import (
    Data,
    Json,
    LegendFile,
    MaskValues,
    Overwrite,
    Quiet,
    Seed,
    given,
    print_json,
)

points_app = typer.Typer(help="Work with labelled points.", no_args_is_help=True, rich_markup_mode=None)


@points_app.command("sample")
def points_sample(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Point file: .gpkg, .geojson or .csv.")],
    split: Annotated[Optional[str], typer.Option(help="Only the images of this list, such as train.")] = None,  # noqa: UP045
    per_class: Annotated[int, typer.Option(help="Points per class and tile, image, or in total.")] = 10,
    scope: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What they count for: tile, image or total. [default: image; tile with --tile]"),
    ] = None,
    tile: Annotated[Optional[int], typer.Option(help="Side of a tile in pixels.")] = None,  # noqa: UP045
    places: Annotated[str, typer.Option(help="Where: pixel, component, interior or centre.")] = "pixel",
    margin: Annotated[int, typer.Option(help="Distance of interior from other classes in pixels.")] = 3,
    jitter: Annotated[float, typer.Option(help="How far a centre may be missed, in pixels.")] = 2.0,
    location_error: Annotated[float, typer.Option(help="Misplace points by 1 to this many pixels.")] = 0.0,
    wrong_share: Annotated[float, typer.Option(help="Share of the points with a wrong label.")] = 0.0,
    seed: Seed = 0,
    legend: LegendFile = None,
    mask_values: MaskValues = None,
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw points at random from dense masks, to simulate a person who labels."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import SampleSettings, read_settings
    from geoseg.workflows.sample import sample

    settings = read_settings(SampleSettings, given(locals(), without=("json_", "quiet")))
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
