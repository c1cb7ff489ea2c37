"""Sum up an experiment from its result files: a table, JSON, figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Progress
from geoseg.domain.replication import bootstrap_interval, miou_without, spread, total
from geoseg.errors import OutputError, SettingsError
from geoseg.geodata.outputs import write_json, write_text
from geoseg.pictures.budgets import Score, budget_figure, class_figure
from geoseg.pictures.curves import training_curves
from geoseg.settings import ExperimentSettings, PictureSettings
from geoseg.workflows.picture import picture
from geoseg.workflows.pictures import write_picture

HEADER = (
    "recipe",
    "points per class",
    "per image",
    "in total",
    "draws",
    "final loss",
    "mIoU %",
    "95 % over images",
    "without background %",
    "overall accuracy %",
    "training s",
)
PUBLISHED = (
    {"per_class": 10, "final_loss": 0.2924, "miou": 0.7511},
    {"per_class": 50, "final_loss": 0.3868, "miou": 0.7631},
)
_NOTE = (
    "Scores are of one confusion matrix over all test images. ± is the standard deviation over draws of the points; "
    "the interval is a bootstrap over the test images, as if each were a place by itself. The final loss is each recipe's "
    "own, of its last epoch where it has epochs: pfCE for pfce, cross-entropy for the others; only equal recipes compare. "
    "The rows 'as published' are of DeepLabV3 (ResNet50) on "
    "LandCover.ai; their split, seeds, number of images and whether the budget is per image or in total are not known."
)


@dataclass(frozen=True)
class Summary:
    """The folder of an experiment, its table, how to read it, and its record as in ``summary.json``."""

    folder: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class _Group:
    """The results of one recipe and budget, one for each draw of the points."""

    recipe: str
    per_class: int | None
    results: Sequence[Mapping[str, Any]]

    @property
    def confusions(self) -> list[dict[str, NDArray[np.int64]]]:
        return [{n: _matrix(i) for n, i in r["images"].items()} for r in self.results]


def summarise(settings: ExperimentSettings, progress: Progress) -> Summary:
    """Write ``summary.md``, ``summary.json`` and the figures of an experiment from its result files.

    Raises:
        OutputError: A result file cannot be read.
    """
    folder = settings.output
    groups = _groups(folder)
    names = list(groups[0].results[0]["iou"])
    background = _background(settings, names)
    entries = [_entry(group, background) for group in groups]
    rows = [_row(entry) for entry in entries] + [_published_row(entry) for entry in PUBLISHED]
    scope = settings.protocol.counts_for
    record = {
        "protocol": _protocol(settings),
        "scope": scope,
        "classes": names,
        "results": entries,
        "as_published": list(PUBLISHED),
    }
    write_json(folder / "summary.json", record)
    write_text(folder / "summary.md", _markdown(rows, settings, groups))
    _draw(settings, entries, groups, names=names, progress=progress)
    return Summary(folder, HEADER, rows, _NOTE, record)


def _groups(folder: Path) -> list[_Group]:
    found = dict[tuple[str, int | None], list[Mapping[str, Any]]]()
    for path in sorted((folder / "runs").glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            _ = result["images"], result["iou"], result["seed"], result["drawn_sha256"]
            found.setdefault((result["recipe"], result["per_class"]), []).append(result)
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "Remove it, and its run is done again."
            raise OutputError("this result cannot be read", where=path, got=error, hint=hint) from error
    order = sorted(found, key=lambda key: (key[1] or math.inf, key[0]))
    return [_Group(recipe, n, sorted(found[recipe, n], key=lambda r: r["seed"])) for recipe, n in order]


def check_background(settings: ExperimentSettings, names: Sequence[str]) -> None:
    """Make sure that the class to leave out is there.

    Raises:
        SettingsError: It is not.
    """
    if settings.background is not None and settings.background not in names:
        raise SettingsError(
            "there is no such class",
            where="--background",
            expected=", ".join(names),
            got=settings.background,
        )


def _background(settings: ExperimentSettings, names: Sequence[str]) -> int | None:
    wanted = settings.background or "background"
    return names.index(wanted) if wanted in names else None


def _matrix(scores: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.column_stack([np.array(scores["confusion"]), np.array(scores["unmapped"])]).astype(np.int64)


def _entry(group: _Group, background: int | None) -> dict[str, Any]:
    confusions = group.confusions
    scores = [total(c) for c in confusions]
    miou = spread([s.miou for s in scores])
    without = [miou_without(s, background) for s in scores] if background is not None else [math.nan]
    others = spread(without)
    overall = spread([s.overall_accuracy for s in scores])
    low, high = bootstrap_interval(confusions)
    first = group.results[0]
    iou = np.mean([s.iou for s in scores], axis=0)
    return {
        "recipe": group.recipe,
        "per_class": group.per_class,
        "points_per_image": _mean(group, "points_per_image"),
        "points_total": round(_mean(group, "points_total")),
        "points_used": round(np.mean([r.get("points_used", r["points_total"]) for r in group.results])),
        "epochs": [r.get("epoch") for r in group.results],
        "computed_in": sorted({r.get("computed_in", "not known") for r in group.results}),
        "points_sha256": [r["drawn_sha256"] for r in group.results],
        "draws": len(group.results),
        "final_loss": _mean(group, "final_loss"),
        "miou": _number(miou.mean),
        "miou_deviation": _number(miou.deviation),
        "miou_interval": [_number(low), _number(high)],
        "miou_without_background": _number(others.mean),
        "miou_without_background_deviation": _number(others.deviation),
        "overall_accuracy": _number(overall.mean),
        "overall_accuracy_deviation": _number(overall.deviation),
        "iou": dict(zip(first["iou"], [_number(v) for v in iou], strict=True)),
        "seconds": {k: float(np.mean([r["seconds"][k] for r in group.results])) for k in ("train", "map")},
    }


def _mean(group: _Group, name: str) -> float:
    return float(np.mean([r[name] for r in group.results]))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _row(entry: Mapping[str, Any]) -> list[str]:
    def percent(name: str) -> str:
        score, deviation = entry[name], entry[f"{name}_deviation"]
        if score is None:
            return "-"
        return f"{100 * score:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")

    low, high = entry["miou_interval"]
    is_full = entry["per_class"] is None
    return [
        entry["recipe"],
        "all labels" if is_full else str(entry["per_class"]),
        "" if is_full else f"{entry['points_per_image']:,.0f}",
        "" if is_full else _in_total(entry),
        str(entry["draws"]),
        f"{entry['final_loss']:.4f}",
        percent("miou"),
        "-" if low is None else f"{100 * low:.1f} to {100 * high:.1f}",
        percent("miou_without_background"),
        percent("overall_accuracy"),
        f"{entry['seconds']['train']:.0f}",
    ]


def _in_total(entry: Mapping[str, Any]) -> str:
    total, used = entry["points_total"], entry["points_used"]
    return f"{total:,}" + (f" ({used:,} used)" if used < total else "")


def _published_row(entry: Mapping[str, Any]) -> list[str]:
    known = ["as published", str(entry["per_class"]), "not known", "not known", "not known"]
    return [*known, f"{entry['final_loss']:.4f}", f"{100 * entry['miou']:.2f}", "", "", "", ""]


def _protocol(settings: ExperimentSettings) -> dict[str, Any]:
    return {**settings.protocol.model_dump(mode="json"), "scope": settings.protocol.counts_for}


def _markdown(rows: Sequence[Sequence[str]], settings: ExperimentSettings, groups: Sequence[_Group]) -> str:
    protocol = settings.protocol
    counted = {"total": "in total", "image": "per image", "tile": f"per tile of {protocol.tile} px"}
    lines = [HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    drawn = {(g.per_class, r["seed"]): r["drawn_sha256"] for g in groups if g.per_class for r in g.results}
    hashes = "\n".join(
        f"- {n} per class, draw {seed}: {digest}" for (n, seed), digest in sorted(drawn.items())
    )
    others = {k: v for k, v in _protocol(settings).items() if k not in ("scope", "tile")}
    return (
        f"Budget: points per class, {counted[protocol.counts_for]}. Protocol: {json.dumps(others)}.\n\n{table}\n\n"
        f"{_NOTE}\n\nSHA-256 of the points of each draw, the same for all recipes:\n\n{hashes}\n"
    )


def _draw(
    settings: ExperimentSettings,
    entries: Sequence[Mapping[str, Any]],
    groups: Sequence[_Group],
    *,
    names: Sequence[str],
    progress: Progress,
) -> None:
    folder = settings.output
    budgets = [e for e in entries if e["per_class"] is not None]
    ceiling = next((e["miou"] for e in entries if e["per_class"] is None), None)
    methods = {recipe: _scores(recipe, budgets) for recipe in dict.fromkeys(e["recipe"] for e in budgets)}
    if methods:
        write_picture(budget_figure(methods, ceiling), folder / "miou.png", overwrite=True)
        write_picture(class_figure(_panels(entries, names), names), folder / "classes.png", overwrite=True)
    for group in groups:
        history = group.results[0]["history"]
        if history:
            name = group.recipe if group.per_class is None else f"{group.recipe}-{group.per_class}"
            write_picture(training_curves(history), folder / f"curves-{name}.png", overwrite=True)
    recipes = list(dict.fromkeys(group.recipe for group in groups))
    for n in sorted({e["per_class"] for e in budgets}):
        _compare(settings, n, recipes=recipes, progress=progress)


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


def _compare(
    settings: ExperimentSettings, per_class: int, *, recipes: Sequence[str], progress: Progress
) -> None:
    """Draw the test images, their maps by every method from the first draw of points, and the truth."""
    wanted = [f"{recipe}-{per_class}-seed0" if recipe != "full" else recipe for recipe in recipes]
    # A folder of maps without a result is of a run that is not finished.
    done = [name for name in wanted if (settings.output / "runs" / f"{name}.json").exists()]
    maps = tuple(p for p in (settings.output / "maps" / name for name in done) if p.is_dir())
    if maps:
        picture(
            PictureSettings(
                data=settings.data,
                maps=maps,
                output=settings.output / f"comparison-{per_class}.png",
                split=settings.test_split,
                overwrite=True,
            ),
            progress,
        )
