"""What a project can give: points, model, maps and a report, and what is not in them yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any

from geoseg.errors import SettingsError
from geoseg.geodata.outputs.styles import write_point_style
from geoseg.geodata.projects.classes import read_classes, to_legend
from geoseg.geodata.projects.schema import connected, current_revision
from geoseg.workflows.labelling.job_process import latest_model, trained_revision
from geoseg.workflows.labelling.project import LabelProject

_PRODUCTS = {"map": ".tif", "confidence": "_confidence.tif", "polygons": ".gpkg"}


def list_exports(project: LabelProject) -> dict[str, Any]:
    """Return the files that can be downloaded, and what they lack."""
    names = ["points.gpkg", "report.html"]
    files = {name: path for name, path in _files(project).items() if path.is_file()}
    items: list[dict[str, Any]] = [
        {"name": name, "url": f"/v1/project/export/{name}", "size": None} for name in names
    ]
    items += [
        {"name": name, "url": f"/v1/project/export/{name}", "size": path.stat().st_size}
        for name, path in files.items()
    ]
    return {"unsaved": _unsaved(project), "items": items}


def export_file(project: LabelProject, name: str, *, work: Path, status: Mapping[str, Any]) -> Path:
    """Return the path of a file to download; points and report are written into the folder ``work``.

    Raises:
        SettingsError: There is no such file yet.
    """
    if name == "points.gpkg":
        return _copy_points(project, work / name)
    if name == "report.html":
        path = work / name
        path.write_text(_report(project, status), encoding="utf-8")
        return path
    found = _files(project).get(name)
    if found is None or not found.is_file():
        raise SettingsError(
            "there is no such file yet",
            where=name,
            hint="Train a model, or map everything, and export again.",
        )
    return found


def _files(project: LabelProject) -> dict[str, Path]:
    """Return the files that jobs write, by the name under which they are downloaded."""
    model, maps = latest_model(project.files), project.files.folder / "maps"
    found = {} if model is None else {"model.geoseg": model}
    for raster in project.rasters.values():
        for product, ending in _PRODUCTS.items():
            suffix = ending.rpartition(".")[2]
            found[f"{product}-{raster.id}.{suffix}"] = maps / f"{raster.name}{ending}"
    return found


def _unsaved(project: LabelProject) -> list[str]:
    """Return what the exported model and maps do not hold, one sentence each."""
    model = latest_model(project.files)
    with connected(project.points_path) as connection:
        count = connection.execute("SELECT count(*) FROM points").fetchone()[0]
        if model is None:
            return (
                ["No model has been trained well yet; the map of the page is a quick look."] if count else []
            )
        before = trained_revision(model)
        changed = 0
        if before is not None and current_revision(connection) > before:
            changed = connection.execute(
                "SELECT count(*) FROM points WHERE revision > ?", (before,)
            ).fetchone()[0]
            changed += connection.execute(
                "SELECT count(*) FROM geoseg_deleted WHERE revision > ?", (before,)
            ).fetchone()[0]
    notes = [f"{changed} points have changed since the model was trained."] if changed else []
    for raster in project.rasters.values():
        path = project.files.folder / "maps" / f"{raster.name}.tif"
        if not path.is_file():
            notes.append(f"{raster.name} has not been mapped as a whole.")
        elif path.stat().st_mtime_ns < model.stat().st_mtime_ns:
            notes.append(f"The map of {raster.name} is older than the model.")
    return notes


def _copy_points(project: LabelProject, path: Path) -> Path:
    """Copy the points while others may write, with a style of their classes."""
    with connected(project.points_path) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        classes = read_classes(source)
    if classes:
        write_point_style(path, "points", to_legend(classes))
    return path


def _report(project: LabelProject, status: Mapping[str, Any]) -> str:
    """Return a page of the project's points and of the accuracy at check points."""
    about = project.describe()
    classes = [
        (one["name"], one["points"], one["check_points"], *_accuracy_of(one["id"], status))
        for one in about["classes"]
    ]
    accuracy = status.get("accuracy") or {}
    overall = accuracy.get("overall")
    said = accuracy.get("message") or "No model has been fitted yet."
    if overall:
        said = f"Overall accuracy {_percent(overall)} at {accuracy['points']} check points ({accuracy['basis']})."
    rasters = "".join(f"<li>{escape(str(one['path']))}</li>" for one in about["rasters"])
    head = ("class", "training points", "check points", "user's accuracy", "producer's accuracy")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(about['name'])}</title></head><body><h1>{escape(about['name'])}</h1>"
        f"<p>Revision {about['revision']}.</p><h2>Rasters</h2><ul>{rasters}</ul><h2>Classes</h2>{_table(head, classes)}"
        f"<h2>Accuracy of the live map</h2><p>{escape(said)}</p>"
        "<p>Only check points count: clicked and suggested points do not represent the area.</p></body></html>"
    )


def _accuracy_of(class_id: int, status: Mapping[str, Any]) -> tuple[str, str]:
    found = (status.get("accuracy") or {}).get("classes", [])
    own = next((one for one in found if one["id"] == class_id), None)
    return ("", "") if own is None else (_percent(own["users"]), _percent(own["producers"]))


def _percent(estimate: Mapping[str, Any] | None) -> str:
    if not estimate:
        return ""
    text = f"{100 * estimate['estimate']:.1f} %"
    if estimate["low"] is None:
        return text
    return f"{text} (95 % interval {100 * estimate['low']:.1f} to {100 * estimate['high']:.1f} %)"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
