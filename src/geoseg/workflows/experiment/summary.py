"""Summarise an experiment from its result files: a table, JSON and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.domain.ports import Progress
from geoseg.domain.replication import bootstrap_interval, miou_without, spread, total
from geoseg.errors import OutputError, SettingsError
from geoseg.geodata.datasets.landcover_ai import LEGEND
from geoseg.geodata.outputs.atomic_files import write_json, write_text
from geoseg.workflows.experiment.record import read_record
from geoseg.workflows.experiment.results import Group, group_results, read_results
from geoseg.workflows.experiment.summary_figures import draw_comparisons, draw_figures
from geoseg.workflows.library_errors import translate_library_errors

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
    "mapping s",
)
PUBLISHED = (
    {"per_class": 10, "final_loss": 0.2924, "miou": 0.7511},
    {"per_class": 50, "final_loss": 0.3868, "miou": 0.7631},
)
_NOTE = (
    "Scores come from one confusion matrix over all test images. ± is the standard deviation over draws of the points. "
    "The interval is a bootstrap over the test images, which treats them as independent. The final loss is that of the "
    "last epoch: pfCE for pfce, cross-entropy for the others. Compare it only between runs of the same recipe."
)
_NOTE_PUBLISHED = (
    " The rows 'as published' are for DeepLabV3 (ResNet50) on LandCover.ai. Their split, seeds, number of images and "
    "budget scope (per image or in total) are not known."
)


@dataclass(frozen=True)
class Summary:
    """The folder of an experiment, its table with an explanatory note, and the content of ``summary.json``."""

    folder: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    record: Mapping[str, Any]


@translate_library_errors
def summarise(
    folder: Path, progress: Progress, *, data: Path | None = None, background: str | None = None
) -> Summary:
    """Write ``summary.md``, ``summary.json`` and the figures of an experiment from its result files.

    Args:
        folder: Folder with ``experiment.json`` and ``runs/``; other files are optional.
        progress: Receives the pictures drawn and the warnings.
        data: The dataset, for pictures that compare its images with the maps in ``maps/``.
        background: Class excluded from the second mean IoU. None uses the class in ``experiment.json``, else
            "background" if the legend has it.

    Raises:
        OutputError: The folder is not an experiment folder, has no result, or a file cannot be read.
        SettingsError: The legend lacks the background class.
    """
    record = read_record(folder)
    groups = group_results(read_results(folder))
    if not groups:
        raise OutputError("this folder has no finished run", where=folder, expected="runs/*.json")
    names = [land_class["name"] for land_class in record["legend"]]
    check_background(background, names)
    left_out = background or record.get("background") or "background"
    entries = [_entry(group, names.index(left_out) if left_out in names else None) for group in groups]
    published = published_for(names)
    note = _NOTE + (_NOTE_PUBLISHED if published else "")
    rows = [_row(entry) for entry in entries] + [_published_row(entry) for entry in published]
    summary = {
        "protocol": record["protocol"],
        "scope": record["protocol"]["scope"],
        "classes": names,
        "results": entries,
        "as_published": list(published),
    }
    write_json(folder / "summary.json", summary)
    write_text(folder / "summary.md", _markdown(rows, record["protocol"], groups, note=note))
    draw_figures(folder, entries, groups, names=names)
    draw_comparisons(folder, groups, data=data, split=record["test_split"], progress=progress)
    return Summary(folder, HEADER, rows, note, summary)


def published_for(names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Return the published scores if the classes are those of LandCover.ai, else nothing."""
    return PUBLISHED if tuple(names) == LEGEND.names else ()


def check_background(background: str | None, names: Sequence[str]) -> None:
    """Check that the background class exists.

    Raises:
        SettingsError: The legend lacks it.
    """
    if background is not None and background not in names:
        raise SettingsError("no such class", where="--background", expected=", ".join(names), got=background)


def _entry(group: Group, background: int | None) -> dict[str, Any]:
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


def _mean(group: Group, name: str) -> float:
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
        f"{entry['seconds']['map']:.0f}",
    ]


def _in_total(entry: Mapping[str, Any]) -> str:
    total, used = entry["points_total"], entry["points_used"]
    return f"{total:,}" + (f" ({used:,} used)" if used < total else "")


def _published_row(entry: Mapping[str, Any]) -> list[str]:
    known = ["as published", str(entry["per_class"]), "not known", "not known", "not known"]
    return [*known, f"{entry['final_loss']:.4f}", f"{100 * entry['miou']:.2f}", "", "", "", "", ""]


def _markdown(
    rows: Sequence[Sequence[str]], protocol: Mapping[str, Any], groups: Sequence[Group], *, note: str
) -> str:
    counted = {"total": "in total", "image": "per image", "tile": f"per tile of {protocol['tile']} px"}
    lines = [HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    drawn = {(g.per_class, r["seed"]): r["drawn_sha256"] for g in groups if g.per_class for r in g.results}
    hashes = "\n".join(
        f"- {n} per class, draw {seed}: {digest}" for (n, seed), digest in sorted(drawn.items())
    )
    others = {k: v for k, v in protocol.items() if k not in ("scope", "tile")}
    return (
        f"Budget: points per class, {counted[protocol['scope']]}. Protocol: {json.dumps(others)}.\n\n{table}\n\n"
        f"{note}\n\nSHA-256 of the points of each draw, the same for all recipes:\n\n{hashes}\n"
    )
