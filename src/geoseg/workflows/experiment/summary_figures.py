"""Draw the figures of an experiment's summary: scores by budget, training curves and map comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.domain.ports import Progress
from geoseg.errors import DatasetError, LegendError, RasterError
from geoseg.geodata.datasets.folders import is_dataset
from geoseg.pictures.budgets import Score, budget_figure, class_figure
from geoseg.pictures.curves import training_curves
from geoseg.settings import PictureSettings
from geoseg.workflows.experiment.grid import Run
from geoseg.workflows.experiment.results import Group
from geoseg.workflows.figure_files import write_picture
from geoseg.workflows.picture import picture


def draw_figures(
    folder: Path, entries: Sequence[Mapping[str, Any]], groups: Sequence[Group], *, names: Sequence[str]
) -> None:
    """Draw ``miou.png``, ``classes.png`` and, for the first draw of points, ``curves-*.png``.

    Args:
        folder: Output folder.
        entries: The entries of the summary.
        groups: The results behind the entries.
        names: The class names.
    """
    budgets = [e for e in entries if e["per_class"] is not None]
    ceiling = next((e["miou"] for e in entries if e["per_class"] is None), None)
    methods = {recipe: _scores(recipe, budgets) for recipe in dict.fromkeys(e["recipe"] for e in budgets)}
    if methods:
        write_picture(budget_figure(methods, ceiling), folder / "miou.png", overwrite=True)
        write_picture(class_figure(_panels(entries, names), names), folder / "classes.png", overwrite=True)
    for group in groups:
        first = group.results[0]
        if first["history"]:
            name = group.recipe if group.per_class is None else f"{group.recipe}-{group.per_class}"
            title = Run(group.recipe, group.per_class, first["seed"]).describe()
            curves = training_curves(first["history"], title=title)
            write_picture(curves, folder / f"curves-{name}.png", overwrite=True)


def draw_comparisons(
    folder: Path, groups: Sequence[Group], *, data: Path | None, split: str, progress: Progress
) -> None:
    """Draw the test images, their maps by every method from the first draw of points, and their masks.

    If the dataset or maps are missing, warn and skip the pictures that need them.

    Args:
        folder: Folder with ``maps/``; the pictures are written into it.
        groups: The finished results. Maps of unfinished runs are ignored.
        data: The dataset.
        split: The split of the mapped images.
        progress: Receives a warning for each skipped picture.
    """
    budgets = sorted({g.per_class for g in groups if g.per_class is not None})
    maps = {n: _maps_of_first_draw(folder, groups, n) for n in budgets}
    if not maps:
        return
    if data is None or not is_dataset(data):
        reason = "DATA is not given" if data is None else f"{data} has no images/"
        progress.warn(f"Comparison pictures are left out: {reason}.")
        return
    missing = list(dict.fromkeys(p.name for paths in maps.values() for p in paths if not p.is_dir()))
    if missing:
        progress.warn(f"Comparison pictures leave out what has no maps here: {', '.join(missing)}.")
    for n, paths in maps.items():
        output = folder / f"comparison-{n}.png"
        there = tuple(path for path in paths if path.is_dir())
        if there:
            _compare(
                PictureSettings(data=data, maps=there, output=output, split=split, overwrite=True), progress
            )


def _maps_of_first_draw(folder: Path, groups: Sequence[Group], per_class: int) -> list[Path]:
    first = [g for g in groups if g.per_class in (per_class, None) and g.results[0]["seed"] == 0]
    return [folder / "maps" / Run(g.recipe, g.per_class, 0).name for g in first]


def _compare(settings: PictureSettings, progress: Progress) -> None:
    try:
        picture(settings, progress)
    except (DatasetError, LegendError, RasterError) as error:
        # A failed picture must not discard the scores.
        progress.warn(f"{settings.output.name} is left out: {error}")


def _scores(recipe: str, entries: Sequence[Mapping[str, Any]]) -> list[Score]:
    own = [e for e in entries if e["recipe"] == recipe]
    return [
        Score(
            e["points_total"],
            math.nan if e["miou"] is None else e["miou"],
            math.nan if e["miou_deviation"] is None else e["miou_deviation"],
        )
        for e in own
    ]


def _panels(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    panels = dict[str, dict[str, list[float]]]()
    full = [e for e in entries if e["per_class"] is None]
    for n in sorted({e["per_class"] for e in entries if e["per_class"] is not None}):
        own = [e for e in entries if e["per_class"] == n]
        iou = {
            e["recipe"]: [math.nan if e["iou"][c] is None else e["iou"][c] for c in names]
            for e in [*own, *full]
        }
        panels[f"{n} points per class ({own[0]['points_total']:,} in total)"] = iou
    return panels
