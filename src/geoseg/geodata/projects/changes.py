"""Changes of labels: applied all or none, refused where a label has changed meanwhile, undone and redone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geoseg.geodata.projects.labels import (
    Label,
    delete_labels,
    find_labels,
    label_from_record,
    now,
    put_labels,
)
from geoseg.geodata.projects.schema import connected, current_revision, next_revision, transaction

MAX_UNDO = 1_000
"""Number of changes that the log keeps."""
Operation = Literal["add", "update", "delete"]


@dataclass(frozen=True)
class Change:
    """A change of one label.

    Attributes:
        op: "add", "update" or "delete".
        id: Id of the label.
        revision: The revision that the label is expected to have; None for "add".
        label: The new state; None for "delete".
    """

    op: Operation
    id: str
    revision: int | None
    label: Label | None


@dataclass(frozen=True)
class Applied:
    """The result of changes: the revision of the project, the changed labels and the deleted ids."""

    revision: int
    labels: tuple[Label, ...]
    deleted: tuple[str, ...]


class ConflictError(Exception):
    """Labels have changed meanwhile; ``current`` holds their state by id, None where they no longer exist."""

    def __init__(self, current: Mapping[str, Label | None]) -> None:
        self.current = dict(current)
        super().__init__(f"{len(self.current)} label(s) have changed meanwhile")


class NothingToUndoError(Exception):
    """The log holds no change of this annotator to undo, or none to redo."""


Item = tuple[Label | None, Label | None]
"""A label before and after a change."""


def apply_changes(path: Path, changes: Sequence[Change], *, annotator: str) -> Applied:
    """Apply changes in one transaction, and record them in the log.

    Raises:
        ConflictError: A label has another revision than expected, exists already, or no longer exists.
        PointsError: The file cannot be used.
    """
    with connected(path) as connection, transaction(connection):
        before = find_labels(connection, [change.id for change in changes])
        conflicts = {
            change.id: before.get(change.id)
            for change in changes
            if not _is_current(change, before.get(change.id))
        }
        if conflicts:
            raise ConflictError(conflicts)
        items = [(before.get(change.id), change.label) for change in changes]
        applied = _put(connection, items)
        _log(connection, items, annotator=annotator, label=_describe(changes))
    return applied


def undo(path: Path, *, annotator: str) -> Applied:
    """Undo the last change of an annotator.

    Raises:
        NothingToUndoError: There is none.
        ConflictError: Someone has changed one of its labels since.
    """
    return _step(path, annotator, state="done", to="undone", order="DESC")


def redo(path: Path, *, annotator: str) -> Applied:
    """Apply the change again that an annotator undid last; raises as :func:`undo` does."""
    return _step(path, annotator, state="undone", to="done", order="ASC")


def undo_labels(connection: sqlite3.Connection, annotator: str) -> tuple[str | None, str | None]:
    """Return descriptions of the changes that :func:`undo` and :func:`redo` would act on; None for none."""
    found = [
        _next(connection, annotator, state=state, order=order)
        for state, order in (("done", "DESC"), ("undone", "ASC"))
    ]
    undone, redone = (None if row is None else str(row["label"]) for row in found)
    return undone, redone


def _is_current(change: Change, now_there: Label | None) -> bool:
    if change.op == "add":
        return now_there is None
    return now_there is not None and now_there.revision == change.revision


def _put(connection: sqlite3.Connection, items: Sequence[Item]) -> Applied:
    """Bring labels to their state after a change."""
    revision = next_revision(connection)
    stored = put_labels(connection, [after for _, after in items if after is not None], revision)
    deleted = [before.id for before, after in items if before is not None and after is None]
    delete_labels(connection, deleted)
    return Applied(current_revision(connection), tuple(stored), tuple(deleted))


def _step(path: Path, annotator: str, *, state: str, to: str, order: str) -> Applied:
    with connected(path) as connection, transaction(connection):
        row = _next(connection, annotator, state=state, order=order)
        if row is None:
            raise NothingToUndoError
        items = [_item(pair, is_undo=to == "undone") for pair in json.loads(row["items"])]
        ids = [label.id for pair in items for label in pair if label is not None]
        there = find_labels(connection, ids)
        conflicts = {
            label.id: there.get(label.id)
            for pair in items
            for label in pair[:1]
            if label is not None and not _is_as_left(label, there.get(label.id))
        }
        conflicts |= {
            after.id: there[after.id]
            for before, after in items
            if before is None and after and after.id in there
        }
        if conflicts:
            raise ConflictError(conflicts)
        known = {found[0] for found in connection.execute("SELECT id FROM classes")}
        lost = {
            a.id: there.get(a.id)
            for _, a in items
            if a and a.class_id is not None and a.class_id not in known
        }
        if lost:
            raise ConflictError(lost)
        applied = _put(connection, items)
        connection.execute("UPDATE geoseg_changes SET state = ? WHERE id = ?", (to, row["id"]))
    return applied


def _is_as_left(label: Label, there: Label | None) -> bool:
    return there is not None and there.has_content_of(label)


def _item(pair: Sequence[dict[str, object] | None], *, is_undo: bool) -> Item:
    before, after = (None if record is None else label_from_record(record) for record in pair)
    return (after, before) if is_undo else (before, after)


def _next(connection: sqlite3.Connection, annotator: str, *, state: str, order: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        f"SELECT * FROM geoseg_changes WHERE annotator = ? AND state = ? ORDER BY id {order} LIMIT 1",
        (annotator, state),
    ).fetchone()
    return found


def _log(connection: sqlite3.Connection, items: Sequence[Item], *, annotator: str, label: str) -> None:
    """Add a change to the log; what was undone before it cannot be redone any more."""
    records = [[None if one is None else one.to_record() for one in pair] for pair in items]
    connection.execute("DELETE FROM geoseg_changes WHERE annotator = ? AND state = 'undone'", (annotator,))
    connection.execute(
        "INSERT INTO geoseg_changes (annotator, date, state, label, items) VALUES (?, ?, 'done', ?, ?)",
        (annotator, now(), label, json.dumps(records)),
    )
    connection.execute(
        "DELETE FROM geoseg_changes WHERE id <= (SELECT max(id) FROM geoseg_changes) - ?", (MAX_UNDO,)
    )


def _describe(changes: Sequence[Change]) -> str:
    verbs = {"add": "add", "update": "change", "delete": "delete"}
    operations = {change.op for change in changes}
    verb = verbs[operations.pop()] if len(operations) == 1 else "change"
    return f"{verb} {len(changes)} point{'s' if len(changes) != 1 else ''}"
