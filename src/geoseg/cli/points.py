"""The commands ``geoseg points``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer

from geoseg.cli.options import Json, PanelCommand, Quiet, print_json, with_options
from geoseg.settings import AuditSettings, SampleSettings, SplitSettings, read_settings

if TYPE_CHECKING:
    from geoseg.workflows.points.audit import Audit

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


@app.command(
    "audit",
    cls=PanelCommand,
    epilog="Example: geoseg points audit field.gpkg --raster orthophoto.tif -o audit.gpkg",
)
@with_options(AuditSettings, optional=("raster",))
def points_audit(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Check what a point file says before training: dropped points, spread, CRS and position errors."""
    from geoseg.cli.show import progress_bars
    from geoseg.workflows.points.audit import audit

    settings = read_settings(AuditSettings, values)
    with progress_bars(quiet) as progress:
        result = audit(settings, progress)
    if json_:
        print_json(result.to_record())
        return
    _print_audit(result)


@app.command(
    "split",
    cls=PanelCommand,
    epilog="Example: geoseg points split field.gpkg --check 0.25 --raster orthophoto.tif -o split",
)
@with_options(SplitSettings, without=("per_polygon",))
def points_split(values: dict[str, Any], *, json_: Json = False, quiet: Quiet = False) -> None:
    """Set check points aside in places that training never sees."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.workflows.points.split import split

    settings = read_settings(SplitSettings, values)
    with progress_bars(quiet) as progress:
        result = split(settings, progress)
    if json_:
        print_json(result.to_record())
        return
    typer.echo(result.statement)
    rows = [[name, f"{train:,}", f"{check:,}"] for name, (train, check) in result.counts.items()]
    print_table(["class", "train", "check"], rows)
    train, check = shlex.quote(str(result.train)), shlex.quote(str(result.check))
    raster = shlex.quote(str(settings.raster)) if settings.raster and not settings.stack else "RASTER.tif"
    typer.echo(f"Next: geoseg train {raster} --points {train} -o model.geoseg")
    typer.echo(f"After the map: geoseg evaluate map.tif --points {check}")


def _print_audit(result: Audit) -> None:
    from geoseg.cli.show import print_table

    for note in result.notes:
        typer.echo(note)
    typer.echo(f"{len(result.used)} of {len(result.points)} points can be used.")
    print_table(["class", "points"], [[name, f"{count:,}"] for name, count in result.used_by_class.items()])
    dropped = result.dropped_by_reason
    if dropped:
        print_table(["dropped", "points"], [[reason, f"{count:,}"] for reason, count in dropped.items()])
    for line in (*_crs_lines(result), *_spread_lines(result), *_error_lines(result)):
        typer.echo(line)
    if result.labels is not None:
        record = result.labels.to_record()
        typer.echo(
            f"Suspicious labels: {record['suspicious']:,} of {record['checked']:,} checked points (another class is at least "
            f"{record['odds_limit']:g} times more probable from their features)."
        )
        if record["by_pair"]:
            rows = [[pair, f"{count:,}"] for pair, count in record["by_pair"].items()]
            print_table(["suspicious label", "points"], rows)
    if result.settings.output is not None:
        typer.echo(f"All points with their reasons: {result.settings.output}")


def _crs_lines(result: Audit) -> list[str]:
    lines = []
    for one in result.transformations:
        if one.operation is None:
            lines.append(f"CRS: points and raster are in {one.source}; no transformation is needed.")
            continue
        accuracy = "unknown" if one.accuracy_m is None else f"{one.accuracy_m:g} m"
        lines.append(f"CRS: points in {one.source}, raster in {one.target}.")
        lines.append(f"Transformation: {one.operation}; expected accuracy: {accuracy}.")
    return lines


def _spread_lines(result: Audit) -> list[str]:
    spread = result.spread
    if spread is None:
        return []
    lines, near, blocks = [], spread.neighbours, spread.blocks
    if near is not None:
        lines.append(
            f"Spread: {near.pattern} (nearest-neighbour index {near.index:.2f}, z {near.z:.1f}; the nearest point is "
            f"{near.mean:.4g} {spread.unit} away on average, {near.expected:.4g} {spread.unit} at random places)."
        )
    side = f"{blocks.block_px} px" + ("" if spread.block_m is None else f" ({spread.block_m:,.4g} m)")
    median, most = spread.points_per_block
    lines.append(
        f"Blocks of {side}: {blocks.count} of {spread.blocks_total} hold points "
        f"({blocks.count / spread.blocks_total:.0%}), {median:g} points in the median and at most {most}."
    )
    return lines


def _error_lines(result: Audit) -> list[str]:
    if result.reach is None:
        return []
    record = result.reach.to_record()
    if not record["points"]:
        return [f"Position errors: column {record['column']!r} has none."]
    factor = f", {record['metres_per_unit']:g} m for each unit of HDOP" if result.reach.errors.is_hdop else ""
    said = (
        f"Position errors (column {record['column']!r}, {record['points']} points{factor}): median "
        f"{record['median_m']:.3g} m, 90 % within {record['p90_m']:.3g} m. They exceed half a pixel at "
        f"{record['share_beyond_half_pixel']:.0%} of the points, and reach a point of another class at "
        f"{record['share_reaching_another_class']:.0%}."
    )
    return [said]
