"""The commands ``geoseg assess``."""

from __future__ import annotations

from typing import Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import AssessDesignSettings, AssessEstimateSettings, read_settings

app = typer.Typer(
    help="Estimate accuracy and areas of a finished map.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _assess() -> None:
    """Estimate accuracy and areas of a finished map from a probability sample."""


@app.command(
    "design", cls=PanelCommand, epilog="Example: geoseg assess design map.tif --target-se 0.01 -o sample.gpkg"
)
@with_options(AssessDesignSettings)
def assess_design(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Draw random pixels of a class map for an interpreter to label."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.workflows.assessment.design import assess_design as run

    settings = read_settings(AssessDesignSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.to_record())
        return
    rows = [[row.name, f"{row.pixels:,}", f"{row.sampled:,}"] for row in result.strata]
    print_table(["stratum", "pixels", "sampled"], rows)
    for note in result.notes:
        typer.echo(note)
    error = result.expected_standard_error
    expected = (
        f" The expected standard error of the overall accuracy is {error:.4f}." if error == error else ""
    )
    typer.echo(f"{result.size:,} pixels to label in {result.output}.{expected}")


@app.command(
    "estimate",
    cls=PanelCommand,
    epilog="Example: geoseg assess estimate sample.gpkg --map map.tif --html report.html",
)
@with_options(AssessEstimateSettings)
def assess_estimate(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Estimate accuracy and areas with 95 % intervals from a labelled sample or an error matrix."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.workflows.assessment.assessment_tables import (
        accuracy_rows,
        matrix_rows,
        other_results,
        summary,
    )
    from geoseg.workflows.assessment.estimate import assess_estimate as run

    settings = read_settings(AssessEstimateSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.to_record())
        return
    print_table(*accuracy_rows(result))
    typer.echo("")
    print_table(*matrix_rows(result, as_shares=False))
    typer.echo("")
    for text in (summary(result), *other_results(result)):
        typer.echo(text)
