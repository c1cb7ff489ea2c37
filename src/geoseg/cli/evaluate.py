"""The commands that score maps and draw them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from geoseg.cli.options import (
    AnyValues,
    ClassColumn,
    Data,
    Device,
    Dropped,
    Json,
    LegendFile,
    MaskValues,
    Nodata,
    OutputStride,
    Overwrite,
    PerPolygon,
    PointCrs,
    PointLayer,
    Precision,
    Quiet,
    StrictNodata,
    Window,
    given,
    print_json,
)

if TYPE_CHECKING:
    from geoseg.workflows.assessment.evaluate import Evaluation


def evaluate(
    subject: Annotated[Path, typer.Argument(help="A class map or a model file.")],
    data: Annotated[Optional[Path], typer.Argument(help="For a model: dataset folder, or a raster.")] = None,  # noqa: UP045
    split: Annotated[str, typer.Option(help="Which images of the folder.")] = "test",
    truth: Annotated[Optional[Path], typer.Option(help="For a class map: the mask to compare with.")] = None,  # noqa: UP045
    points: Annotated[Path | None, typer.Option(help="Compare with these points instead of masks.")] = None,
    role: Annotated[str, typer.Option(help="Which points count: all, train or check.")] = "all",
    allow_training_points: Annotated[
        bool, typer.Option("--allow-training-points", help="Score points that the model learnt from.")
    ] = False,
    class_column: ClassColumn = None,
    dropped: Dropped = None,
    layer: PointLayer = None,
    crs: PointCrs = None,
    per_polygon: PerPolygon = 10,
    legend: LegendFile = None,
    mask_values: MaskValues = None,
    nodata: Nodata = None,
    strict_nodata: StrictNodata = None,
    any_values: AnyValues = False,
    picture: Annotated[Optional[Path], typer.Option(help="Draw the confusion matrix (.png).")] = None,  # noqa: UP045
    window: Window = None,
    output_stride: OutputStride = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a class map or a model against masks or points."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import EvaluateSettings, read_settings
    from geoseg.workflows.assessment.evaluate import TrainingPointsError
    from geoseg.workflows.assessment.evaluate import evaluate as run

    settings = read_settings(EvaluateSettings, given(locals(), without=("json_", "quiet")))
    refused = None
    with progress_bars(quiet) as progress:
        try:
            result = run(settings, progress)
        except TrainingPointsError as error:
            result, refused = error.evaluation, error
    if json_:
        print_json(result.to_record())
    else:
        _print_scores(result)
    if refused is not None:
        raise refused


def picture(
    data: Data,
    maps: Annotated[list[Path], typer.Argument(help="Folders of maps, as predict -o FOLDER writes them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write (.png).")],
    split: Annotated[Optional[str], typer.Option(help="Only the images of this list.")] = None,  # noqa: UP045
    rows: Annotated[int, typer.Option(help="Images to draw at most.")] = 5,
    title: Annotated[str, typer.Option(help="Line above all.")] = "",
    legend: LegendFile = None,
    mask_values: MaskValues = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw maps beside their images and the truth."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import PictureSettings, read_settings
    from geoseg.workflows.picture import picture as run

    settings = read_settings(PictureSettings, given(locals(), without=("quiet",)))
    with progress_bars(quiet) as progress:
        typer.echo(run(settings, progress))


def _print_scores(result: Evaluation) -> None:
    from geoseg.cli.show import print_table

    scores = result.accuracy
    classes = len(result.legend)
    columns = (scores.iou, scores.f1, scores.precision, scores.recall)
    header = ["class", "IoU %", "F1 %", "precision %", "recall %", "points" if result.points else "pixels"]
    unmapped = scores.confusion[:, classes:].sum(axis=1)
    rows = [
        [name, *(_percent(column[k]) for column in columns), f"{scores.confusion[k].sum():,}"]
        + ([f"{unmapped[k]:,}"] if unmapped.any() else [])
        for k, name in enumerate(result.legend.names)
    ]
    if result.statement:
        typer.echo(result.statement)
    print_table(header + (["unmapped"] if unmapped.any() else []), rows)
    typer.echo(f"mIoU {_percent(scores.miou)} %, overall accuracy {_percent(scores.overall_accuracy)} %")


def _percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"
