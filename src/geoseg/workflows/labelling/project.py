"""An open labelling project: its description, its points and its classes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.domain.points import CHECK, TRAIN
from geoseg.errors import PointsError, SettingsError
from geoseg.geodata.projects.changes import (
    Applied,
    Change,
    ConflictError,
    apply_changes,
    redo,
    undo,
    undo_labels,
)
from geoseg.geodata.projects.classes import (
    ProjectClass,
    add_classes,
    adopt_classes,
    change_class,
    delete_class,
    list_classes,
    read_classes,
)
from geoseg.geodata.projects.labels import Label, deleted_since, find_labels, labels_since
from geoseg.geodata.projects.schema import connected, current_revision
from geoseg.workflows.labelling.label_records import checked_id, label_record, page_geometry
from geoseg.workflows.labelling.page_rasters import PageRaster
from geoseg.workflows.labelling.project_files import ProjectFiles, reread

PREVIEWS = Path("features") / "previews"
SOURCES = ("clicked", "suggested", "random", "imported", "qgis")
MAX_CHANGES = 20_000


class LabelProject:
    """A project whose rasters are open.

    Args:
        files: The project on disk.

    Raises:
        RasterError: A raster cannot be read.
    """

    def __init__(self, files: ProjectFiles) -> None:
        self.files = files
        self._lock = threading.Lock()
        opened = [PageRaster(one, files.folder / PREVIEWS) for one in files.rasters]
        self.rasters = {raster.id: raster for raster in opened}

    @property
    def points_path(self) -> Path:
        """The points file."""
        return self.files.points

    @property
    def rasters_by_name(self) -> dict[str, PageRaster]:
        """The rasters by their name in the points file."""
        return {raster.name: raster for raster in self.rasters.values()}

    def raster(self, raster_id: str) -> PageRaster:
        """Return a raster by its id.

        Raises:
            SettingsError: The project has no such raster.
        """
        if raster_id in self.rasters:
            return self.rasters[raster_id]
        raise SettingsError(
            "the project has no such raster", where="raster", expected=", ".join(self.rasters), got=raster_id
        )

    def describe(self) -> dict[str, Any]:
        """Return the description of the project for the page, without its model."""
        files = self.files
        display = {one.id: one.display for one in files.rasters}
        with connected(self.points_path) as connection:
            adopt_classes(connection)
            undone, redone = undo_labels(connection, files.annotator)
            classes, revision = read_classes(connection), current_revision(connection)
        return {
            "name": files.name,
            "folder": str(files.folder),
            "revision": revision,
            "annotator": files.annotator,
            "rasters": [raster.describe(display.get(raster.id, {})) for raster in self.rasters.values()],
            "classes": [vars(one) for one in classes],
            "undo": undone,
            "redo": redone,
        }

    def change_settings(
        self,
        *,
        name: str | None = None,
        annotator: str | None = None,
        display: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        """Change name, annotator or display, and save the description.

        Raises:
            SettingsError: A raster or a band does not exist.
        """
        display = display or {}
        for raster_id, wanted in display.items():
            self.raster(raster_id).check_display(wanted["bands"], wanted["stretch"])
        with self._lock:
            found = reread(self.files)
            rasters = tuple(
                replace(one, display=dict(display.get(one.id, one.display))) for one in found.rasters
            )
            self.files = replace(
                found, name=name or found.name, annotator=annotator or found.annotator, rasters=rasters
            )
            self.files.save()

    def revision(self) -> int:
        """Return the revision of the project, which every change of a point or a class raises."""
        with connected(self.points_path) as connection:
            return current_revision(connection)

    def revisions(self) -> tuple[int, int]:
        """Return the revision of the project and that of its classes."""
        with connected(self.points_path) as connection:
            row = connection.execute("SELECT revision, classes_revision FROM geoseg_state").fetchone()
        return int(row[0]), int(row[1])

    def points(self, since: int) -> dict[str, Any]:
        """Return the points that changed after a revision, and the ids of those deleted since."""
        with connected(self.points_path) as connection:
            adopt_classes(connection)
            connection.execute("BEGIN")
            revision = current_revision(connection)
            labels, deleted = labels_since(connection, since), deleted_since(connection, since)
            connection.execute("COMMIT")
        return {"revision": revision, "points": self._records(labels), "deleted": deleted}

    def classes(self) -> list[ProjectClass]:
        """Return the classes."""
        return list_classes(self.points_path)

    def labels(self) -> tuple[int, list[Label], list[ProjectClass]]:
        """Return the revision, all labels and the classes at one moment."""
        with connected(self.points_path) as connection:
            adopt_classes(connection)
            connection.execute("BEGIN")
            found = current_revision(connection), labels_since(connection, -1), read_classes(connection)
            connection.execute("COMMIT")
        return found

    def apply(self, changes: Sequence[Mapping[str, Any]], annotator: str) -> dict[str, Any]:
        """Apply changes of points as the page sends them.

        Raises:
            ConflictError: A point has changed meanwhile.
            PointsError: A change is not valid.
            SettingsError: A raster does not exist.
        """
        ids = [checked_id(change["id"]) for change in changes]
        if len(set(ids)) < len(ids):
            raise PointsError("a point appears in two changes of one request", where="changes")
        if len(changes) > MAX_CHANGES:
            raise PointsError(
                "too many changes in one request", expected=f"at most {MAX_CHANGES}", got=len(changes)
            )
        with connected(self.points_path) as connection:
            there = find_labels(connection, ids)
            classes = {one.id for one in read_classes(connection)}
        wanted = [
            self._change(one, own, there.get(own), annotator=annotator)
            for one, own in zip(changes, ids, strict=True)
        ]
        for change in wanted:
            if change.label is not None:
                _check_class(change.label, classes)
        return self._answer(apply_changes(self.points_path, wanted, annotator=annotator), annotator)

    def undo(self, annotator: str) -> dict[str, Any]:
        """Undo the last change of an annotator; raises as :func:`geoseg.geodata.projects.changes.undo`."""
        return self._answer(undo(self.points_path, annotator=annotator), annotator)

    def redo(self, annotator: str) -> dict[str, Any]:
        """Redo what an annotator undid last."""
        return self._answer(redo(self.points_path, annotator=annotator), annotator)

    def add_classes(self, wanted: Sequence[tuple[str, str | None]]) -> list[dict[str, Any]]:
        """Add classes by name and colour; return all classes."""
        return [vars(one) for one in add_classes(self.points_path, wanted)]

    def change_class(
        self, class_id: int, revision: int, *, name: str | None, color: str | None, key: str | None
    ) -> dict[str, Any]:
        """Change a class, and return it."""
        return vars(change_class(self.points_path, class_id, revision, name=name, color=color, key=key))

    def delete_class(self, class_id: int, revision: int) -> None:
        """Delete a class without points."""
        delete_class(self.points_path, class_id, revision)

    def conflict_records(self, error: ConflictError) -> list[dict[str, Any]]:
        """Return the conflicts of an error in the form of the page."""
        named = self.rasters_by_name
        return [
            {"id": own, "current": None if label is None else label_record(label, named)}
            for own, label in error.current.items()
        ]

    def close(self) -> None:
        """Close the rasters."""
        for raster in self.rasters.values():
            raster.close()

    def _records(self, labels: Sequence[Label]) -> list[dict[str, Any]]:
        named = self.rasters_by_name
        return [record for label in labels if (record := label_record(label, named)) is not None]

    def _answer(self, applied: Applied, annotator: str) -> dict[str, Any]:
        with connected(self.points_path) as connection:
            undone, redone = undo_labels(connection, annotator)
        return {
            "revision": applied.revision,
            "points": self._records(applied.labels),
            "deleted": list(applied.deleted),
            "undo": undone,
            "redo": redone,
        }

    def _change(self, record: Mapping[str, Any], own: str, there: Label | None, *, annotator: str) -> Change:
        """Return a change of the page as one of the points file."""
        op, revision = record["op"], record.get("revision")
        if op == "delete":
            return Change("delete", own, revision, None)
        if op == "add":
            raster = self.raster(record["raster"])
            label = Label(
                own,
                raster.name,
                page_geometry(record["geometry"], raster.frame),
                record.get("class_id"),
                bool(record.get("unsure")),
                record.get("source") or "clicked",
                record.get("role") or TRAIN,
                annotator,
            )
            return Change("add", own, None, label)
        if there is None:
            return Change("update", own, revision, None)
        return Change("update", own, revision, self._updated(there, record, annotator))

    def _updated(self, there: Label, record: Mapping[str, Any], annotator: str) -> Label:
        label = replace(there, annotator=annotator)
        if record.get("geometry") is not None:
            current = label_record(there, self.rasters_by_name)
            raster = self.raster(current["raster"]) if current else next(iter(self.rasters.values()))
            shape = page_geometry(record["geometry"], raster.frame)
            label = replace(label, geometry=shape, image=raster.name)
        if "class_id" in record:
            label = replace(label, class_id=record["class_id"])
        if record.get("unsure") is not None:
            label = replace(label, is_unsure=bool(record["unsure"]))
        return replace(label, role=record.get("role") or label.role)


def _check_class(label: Label, classes: set[int]) -> None:
    """Check that a label has a class of the project, or is unsure.

    Raises:
        PointsError: It does not.
    """
    if label.role not in (TRAIN, CHECK) or label.source not in SOURCES:
        raise PointsError("unknown role or source", got=f"{label.role}, {label.source}")
    if label.class_id is None and not label.is_unsure:
        raise PointsError("a point needs a class, or to be unsure", where="class_id")
    if label.class_id is not None and label.class_id not in classes:
        raise PointsError("the project has no such class", where="class_id", got=label.class_id)
