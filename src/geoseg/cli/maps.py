"""The commands ``geoseg predict`` and ``geoseg export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from geoseg.cli.options import (
    AnyValues,
    Device,
    Json,
    Nodata,
    OutputStride,
    Overwrite,
    Quiet,
    StrictNodata,
    Window,
    given,
    listed,
    print_json,
)


def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    rasters: Annotated[list[Path], typer.Argument(help="Rasters to predict.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="Class map (.tif); a folder, such as maps/, for several rasters."
        ),
    ],
    confidence: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the confidence too; a folder for several rasters."),
    ] = None,
    also: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Write beside each map too: probabilities,polygons,areas,stac."),
    ] = None,
    style: Annotated[
        bool, typer.Option(help="Write the legend as a QGIS style (.qml) beside each map.")
    ] = True,
    min_area: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Merge regions smaller than so many m2 (by the pixel at the raster's centre) into their largest neighbour, "
            "in the map and the polygons; 0 merges none. Not given: regions under 10 pixels, in the polygons alone."
        ),
    ] = None,
    simplify: Annotated[float, typer.Option(help="Simplify outlines of polygons by so many metres.")] = 0.0,
    window: Window = None,
    batch: Annotated[int, typer.Option(help="Windows predicted together.")] = 1,
    resample: Annotated[bool, typer.Option("--resample", help="Compute at the model's resolution.")] = False,
    tta: Annotated[
        bool,
        typer.Option("--tta", help="Mean over windows turned and flipped in every way; 8 times as long."),
    ] = False,
    prior: Annotated[
        str, typer.Option(help="Classes' shares: model (found at training) or raster (estimated on each).")
    ] = "model",
    nodata: Nodata = None,
    strict_nodata: StrictNodata = None,
    any_values: AnyValues = False,
    area: Annotated[Optional[Path], typer.Option(help="Polygon file; outside becomes nodata.")] = None,  # noqa: UP045
    output_stride: OutputStride = None,
    backend: Annotated[
        str, typer.Option(help="What computes: torch, compiled, onnx, openvino, or auto.")
    ] = "torch",
    processes: Annotated[int, typer.Option(help="Processes of this machine that share the work.")] = 1,
    scheduler: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Dask scheduler whose workers share the work, such as tcp://host:8786."),
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="In what to compute: auto, float32, bf16 or int8.")] = "auto",
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Predict class maps as cloud-optimised GeoTIFFs; a stopped map goes on when the command is repeated."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import PredictSettings, read_settings
    from geoseg.workflows.mapping.predict import predict as run

    values = given(locals(), without=("json_", "quiet")) | {"also": listed(also)}
    settings = read_settings(PredictSettings, values)
    with progress_bars(quiet) as progress:
        results = run(settings, progress)
    if json_:
        print_json({"maps": [_plain(vars(r)) for r in results]})
        return
    for result in results:
        typer.echo(f"{result.raster} -> {', '.join(map(str, result.files.values()))}")


def export(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file.")],
    tile: Annotated[int, typer.Option(help="Side of the images that it takes.")] = 512,
    overwrite: Overwrite = False,
) -> None:
    """Export a model as ONNX, as the QGIS plugin Deepness reads it."""
    from geoseg.settings import ExportSettings, read_settings
    from geoseg.workflows.mapping.export import export as run

    settings = read_settings(ExportSettings, given(locals(), without=()))
    typer.echo(f"{settings.model} -> {run(settings)}")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: paths become text."""
    return {
        k: str(v) if isinstance(v, Path) else _plain(v) if isinstance(v, dict) else v
        for k, v in values.items()
    }
