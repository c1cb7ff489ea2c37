"""Print scores at held-out points, from the records that training and cross-validation write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

_WIDE = 70


def print_validation(record: Mapping[str, Any]) -> None:
    """Print the statement, the scores of each class and the confusion matrix at the points."""
    typer.echo(record["statement"])
    if "at_points" in record:
        print_scores(record, record["at_points"])


def print_scores(record: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Print the scores of each class with intervals, and the confusion matrix."""
    from geoseg.cli.show import print_table

    counts = record["points_by_class"]
    print_table(
        ["class", "points", "user's %", "", "producer's %", "", "F1 %", ""],
        [
            [
                name,
                f"{count:,}",
                *(p for key in ("users", "producers", "f1") for p in _percent(scores[key][name])),
            ]
            for name, count in counts.items()
        ],
    )
    names = list(counts)
    is_wide = sum(len(name) + 2 for name in names) > _WIDE
    columns = [str(k + 1) for k in range(len(names))] if is_wide else names
    rows = [f"{k + 1} {name}" for k, name in enumerate(names)] if is_wide else names
    print_table(
        ["reference \\ map", *columns],
        [
            [row, *(f"{cell:g}" for cell in cells)]
            for row, cells in zip(rows, scores["confusion"], strict=True)
        ],
    )


def _percent(score: Mapping[str, Any]) -> tuple[str, str]:
    """Return a score and its interval in percent; "-" for a score that does not exist."""
    value, interval = score["estimate"], score["interval"]
    return (
        "-" if value is None else f"{100 * value:.1f}",
        "" if interval is None else f"{100 * interval[0]:.0f}-{100 * interval[1]:.0f}",
    )
