"""The command ``geoseg evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.cli.validation import print_validation
from geoseg.settings import EvaluateSettings, read_settings

if TYPE_CHECKING:
    from geoseg.workflows.assessment.evaluate import Evaluation

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg evaluate map.tif --points check.gpkg")
@with_options(EvaluateSettings, optional=("subject",))
def evaluate(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Score a class map or a model against masks or points."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.assessment.evaluate import TrainingPointsError
    from geoseg.workflows.assessment.evaluate import evaluate as run

    settings = read_settings(EvaluateSettings, values)
    if settings.cross_validate:
        _cross_validate(settings, json_=json_, quiet=quiet)
        return
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


def _cross_validate(settings: EvaluateSettings, *, json_: bool, quiet: bool) -> None:
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.assessment.cross_validation import cross_validate

    with progress_bars(quiet) as progress:
        result = cross_validate(settings, progress)
    if json_:
        print_json(result.to_record())
    else:
        print_validation(result.to_record())
        if result.curves is not None:
            _print_curves(result.to_record()["learning_curve"])


def _print_curves(record: dict[str, Any]) -> None:
    from geoseg.cli.show import print_table

    for curve in (record["all"], *record["by_class"].values()):
        if curve is not None:
            steps = ", ".join(
                f"{points:.0f}: {_percent(float('nan') if value is None else value)}"
                for points, value in zip(curve["points"], curve["scores"], strict=True)
            )
            print_table([f"{curve['name']}, {curve['score']} % by points learnt from"], [[steps]])
    for sentence in record["statements"]:
        typer.echo(sentence)


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
