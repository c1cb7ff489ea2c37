"""Write an assessment as one self-contained HTML page with tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from geoseg.domain.assessment.estimation import M2_PER_HECTARE
from geoseg.geodata.outputs.atomic_files import write_text
from geoseg.geodata.outputs.file_kinds import ASSESSMENT_PAGE, MADE_BY
from geoseg.pictures.assessment import Series, error_matrix_figure, interval_figure
from geoseg.workflows.assessment.assessment import Assessment
from geoseg.workflows.assessment.assessment_tables import (
    accuracy_rows,
    matrix_rows,
    other_results,
    percent,
)
from geoseg.workflows.html_pages import PAGE_STYLE, html_picture, html_table

_DESIGNS = {
    "stratified": "stratified random sample",
    "simple": "simple random sample",
    "systematic": "systematic sample, with the variances of a random sample, which are usually too large for it",
    "cluster": "random sample of clusters of pixels, with variances between clusters",
}
_METHOD = (
    "Estimates are design-based: each sampled pixel counts by its inclusion probability. Accuracies are those of the "
    "area, not of the sample. User's accuracy is the share of the area mapped as a class that has this class in the "
    "reference. Producer's accuracy is the share of the area of a reference class that is mapped as it. Areas are those "
    "of the reference classes, corrected for the errors of the map. Half widths are those of 95 % intervals."
)


def write_page(path: Path, found: Assessment, *, overwrite: bool) -> None:
    """Write the page.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    write_text(path, "\n".join(_page(found)), ASSESSMENT_PAGE, overwrite=overwrite)


def _page(found: Assessment) -> Iterator[str]:
    from geoseg import __version__

    title = escape(f"Accuracy and area: {found.source}")
    yield "<!DOCTYPE html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="{MADE_BY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{PAGE_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    yield f'<p>Overall accuracy<br><span class="number">{percent(found.accuracy.overall, 0)} %</span></p>'
    yield from (f"<p>{escape(text)}</p>" for text in other_results(found))
    yield "<h2>Classes</h2>" + html_table(*accuracy_rows(found))
    yield html_picture(_accuracies(found), "User's and producer's accuracy of each class with 95 % intervals")
    yield "<h2>Area</h2>" + html_picture(_areas(found), "Estimated area of each class with its 95 % interval")
    yield "<h2>Error matrix</h2>"
    matrix = error_matrix_figure(found.accuracy.counts, found.accuracy.proportions, found.legend)
    yield html_picture(matrix, "Error matrix, map class in rows and reference class in columns")
    yield "<h3>Sampled pixels</h3>" + html_table(*matrix_rows(found, as_shares=False))
    yield "<h3>Per cent of the area</h3>" + html_table(*matrix_rows(found, as_shares=True))
    yield from _interpretation(found)
    yield f"<h2>Method</h2><p>Design: {escape(_DESIGNS.get(found.design, found.design))}. {escape(_METHOD)}</p>"
    yield "<p>Olofsson et al. (2014), doi:10.1016/j.rse.2014.02.015. Stehman (2014), doi:10.1080/01431161.2014.930207.</p>"
    yield f"<footer>{MADE_BY} {escape(__version__)}</footer></body></html>\n"


def _interpretation(found: Assessment) -> Iterator[str]:
    remarks = [*found.notes, *found.warnings]
    if found.responses is not None:
        answers = found.responses
        yield "<h2>Labels</h2>"
        missing = list(answers.missing_by_stratum.items())
        rows = [
            ["drawn", f"{answers.drawn:,}"],
            ["labelled", f"{answers.labelled:,}"],
            ["unsure", f"{answers.unsure:,}"],
        ]
        rows += [[f"without a label in {name}", f"{count:,}"] for name, count in missing]
        yield html_table(["points", "number"], rows)
    if found.second is not None:
        names = found.legend.names
        rows = [[name, *map(str, row)] for name, row in zip(names, found.second.counts.tolist(), strict=True)]
        yield "<h3>First interpreter in rows, second in columns</h3>" + html_table(["class", *names], rows)
    if remarks:
        yield "<h2>Remarks</h2><ul>" + "".join(f"<li>{escape(text)}</li>" for text in remarks) + "</ul>"


def _accuracies(found: Assessment) -> Figure:
    users, producers = found.accuracy.users, found.accuracy.producers
    series = [
        Series("user's accuracy", 100 * users.estimate, 100 * users.half_width),
        Series("producer's accuracy", 100 * producers.estimate, 100 * producers.half_width, "s", "#b2560d"),
    ]
    return interval_figure(series, found.legend, axis="Accuracy in % with 95 % interval", limit=102)


def _areas(found: Assessment) -> Figure:
    if not found.is_in_m2:
        share = found.accuracy.share
        series = [Series("estimated", 100 * share.estimate, 100 * share.half_width)]
        return interval_figure(series, found.legend, axis="Share of the area in % with 95 % interval")
    area = found.area_ha()
    series = [Series("estimated", area.estimate, area.half_width)]
    if found.mapped_m2 is not None:
        nothing = np.full(len(found.legend), np.nan)
        series.append(Series("mapped", found.mapped_m2 / M2_PER_HECTARE, nothing, "x", "#595959"))
    return interval_figure(series, found.legend, axis="Area in hectares with 95 % interval")
