"""The command ``geoseg experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.errors import SettingsError
from geoseg.settings import ExperimentSettings, Protocol, TrainingOptions, read_protocol, read_settings

if TYPE_CHECKING:
    from geoseg.domain.ports import Progress
    from geoseg.workflows.experiment.summary import Summary

app = typer.Typer(add_completion=False, rich_markup_mode=None)
OF_A_PROTOCOL_FILE = ("places", "margin", "jitter", "location_error", "wrong_share")


@app.command(cls=PanelCommand, epilog="Example: geoseg experiment dataset --recipes forest,quick -o results")
@with_options(ExperimentSettings, TrainingOptions, Protocol, without=OF_A_PROTOCOL_FILE, optional=("data",))
def experiment(
    values: dict[str, Any],
    *,
    summary_only: Annotated[
        bool,
        typer.Option(
            "--summary-only",
            help="Summarise an existing results folder without running anything; only DATA and --background are used.",
        ),
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare recipes and budgets on a dataset; finished runs are not repeated."""
    from geoseg.cli.show import print_table, progress_bars

    with progress_bars(quiet) as progress:
        summary = _sum_up(values, progress) if summary_only else _run(values, progress)
    if json_:
        print_json(dict(summary.record))
        return
    print_table(summary.header, summary.rows)
    typer.echo(f"\n{summary.note}")
    typer.echo(f"\nEverything is in {summary.folder}/; read summary.md first.")


def _sum_up(values: dict[str, Any], progress: Progress) -> Summary:
    from geoseg.workflows.experiment.summary import summarise

    data, background = values.get("data"), values.get("background")
    return summarise(Path(values["output"]), progress, data=data, background=background)


def _run(values: dict[str, Any], progress: Progress) -> Summary:
    from geoseg.workflows.experiment.run import experiment as run

    if "data" not in values:
        raise SettingsError(
            "no dataset is given",
            where="DATA",
            hint="Give a dataset folder. Only --summary-only works without one.",
        )
    drawn = read_protocol(
        values.pop("protocol", "pixel"), scope=values.pop("scope", None), tile=values.pop("tile", None)
    )
    training = {name: values.pop(name) for name in TrainingOptions.model_fields if name in values}
    settings = read_settings(ExperimentSettings, {**values, "protocol": drawn, "training": training})
    return run(settings, progress)
