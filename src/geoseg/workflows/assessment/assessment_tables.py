"""An assessment as tables: for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.domain.assessment.estimation import M2_PER_HECTARE, Estimates
from geoseg.geodata.outputs.atomic_files import write_text
from geoseg.geodata.outputs.file_kinds import ASSESSMENT_CSV

if TYPE_CHECKING:
    from geoseg.workflows.assessment.assessment import Assessment

CSV_HEADER = ("measure", "map_class", "reference_class", "estimate", "half_width")


def accuracy_rows(found: Assessment) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table by class: percentages, areas in hectares, sampled pixels."""
    area, accuracy = found.area_ha(), found.accuracy
    unit = "area ha" if found.is_in_m2 else "area %"
    header = ["class", "user's %", "producer's %", unit, "mapped ha", "in map", "in reference"]
    rows = []
    for k, name in enumerate(found.legend.names):
        sizes = with_interval(area, k) if found.is_in_m2 else percent(accuracy.share, k)
        mapped = (
            "-" if found.mapped_m2 is None else f"{found.mapped_m2[k] / M2_PER_HECTARE:,.{_digits(found)}f}"
        )
        counts = [f"{accuracy.counts[k].sum():,.0f}", f"{accuracy.counts[:, k].sum():,.0f}"]
        rows.append(
            [name, percent(accuracy.users, k), percent(accuracy.producers, k), sizes, mapped, *counts]
        )
    return header, rows


def matrix_rows(found: Assessment, *, as_shares: bool) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the error matrix, map class in rows: counts, or percentages of the area."""
    accuracy, names = found.accuracy, found.legend.names
    values = 100 * accuracy.proportions if as_shares else accuracy.counts
    digits = 2 if as_shares else 0
    labels = [*names, "unmapped"] if accuracy.counts[-1].any() else list(names)
    rows = [
        [label, *(f"{value:,.{digits}f}" for value in row), f"{row.sum():,.{digits}f}"]
        for label, row in zip(labels, values, strict=False)
    ]
    total = values.sum(axis=0)
    rows.append(["total", *(f"{value:,.{digits}f}" for value in total), f"{total.sum():,.{digits}f}"])
    return ["map \\ reference", *names, "total"], rows


def summary(found: Assessment) -> str:
    """Return the overall accuracy as a sentence."""
    return f"Overall accuracy {percent(found.accuracy.overall, 0)} % (95 % interval)"


def other_results(found: Assessment) -> list[str]:
    """Return sentences on unsure and missing labels and on the second interpreter."""
    texts = []
    if found.without_unsure is not None:
        texts.append(
            f"Without unsure labels, the overall accuracy is {percent(found.without_unsure.overall, 0)} %."
        )
    if found.responses is not None and found.responses.overall_bounds is not None:
        low, high = found.responses.overall_bounds
        texts.append(
            f"If all missing labels were wrong or all right, the overall accuracy would be {100 * low:.1f} or "
            f"{100 * high:.1f} %."
        )
    if found.second is not None:
        second = found.second
        texts.append(
            f"The two interpreters agree at {second.agree:,} of {second.both:,} points "
            f"({100 * second.agree / second.both:.1f} %)."
        )
        if second.overall is not None:
            texts.append(
                f"By the labels of the second one, the overall accuracy is {percent(second.overall, 0)} %."
            )
    return texts


def assessment_text(found: Assessment) -> str:
    """Return an assessment as a table in plain text."""
    header, rows = accuracy_rows(found)
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [header, *rows]
    ]
    return "\n".join([*lines, summary(found), *other_results(found)])


def write_table(path: Path, found: Assessment, *, overwrite: bool) -> None:
    """Write all estimates as CSV, one a row: measure, map class, reference class, estimate, half width of 95 %.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for measure, mapped, reference, estimate, half_width in _csv_rows(found):
        writer.writerow([measure, mapped, reference, _cell(estimate), _cell(half_width)])
    write_text(path, text.getvalue(), ASSESSMENT_CSV, overwrite=overwrite)


def _csv_rows(found: Assessment) -> Iterator[tuple[str, str, str, float, float]]:
    names, accuracy = found.legend.names, found.accuracy
    nothing = float("nan")
    yield ("overall", "", "", accuracy.overall.estimate[0], accuracy.overall.half_width[0])
    for measure, values in (("users", accuracy.users), ("producers", accuracy.producers)):
        for k, name in enumerate(names):
            pair = (name, "") if measure == "users" else ("", name)
            yield (measure, *pair, values.estimate[k], values.half_width[k])
    for measure, values in (("area_ha", found.area_ha()), ("area_share", accuracy.share)):
        for k, name in enumerate(names):
            yield (measure, "", name, values.estimate[k], values.half_width[k])
    for measure, cells in (("count", accuracy.counts), ("area_proportion", accuracy.proportions)):
        for row, mapped in zip(cells, [*names, "unmapped"], strict=True):
            for value, reference in zip(row, names, strict=True):
                yield (measure, mapped, reference, value, nothing)


def _cell(value: float) -> str:
    return f"{value:.10g}" if np.isfinite(value) else ""


def percent(found: Estimates, index: int) -> str:
    """Return an estimate with its half width in per cent; "-" where there is none."""
    return _pair(100 * found.estimate[index], 100 * found.half_width[index], 1)


def with_interval(found: Estimates, index: int) -> str:
    """Return an estimate with its half width; "-" where there is none."""
    largest = float(np.nanmax(found.estimate, initial=0.0))
    return _pair(found.estimate[index], found.half_width[index], _decimals(largest))


def _digits(found: Assessment) -> int:
    return _decimals(float(np.nanmax(found.area_ha().estimate, initial=0.0)))


def _decimals(largest: float) -> int:
    """Return decimals that show small areas too."""
    return 0 if largest >= 1000 else 2 if largest >= 1 else 4


def _pair(value: float, half_width: float, digits: int) -> str:
    if not np.isfinite(value):
        return "-"
    width = f"{half_width:,.{digits}f}" if np.isfinite(half_width) else "?"
    return f"{value:,.{digits}f} ± {width}"
