"""The classes of a project: read, add, change and delete them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.domain.class_colors import default_colors
from geoseg.domain.legend import MAX_CLASSES, LandClass, Legend, normalise_name
from geoseg.domain.points import CHECK
from geoseg.errors import LegendError
from geoseg.geodata.projects.schema import connected, next_revision, transaction

_KEYS = "1234567890"


@dataclass(frozen=True)
class ProjectClass:
    """A class of a project; its id never changes and is not used again.

    Attributes:
        id: Id in the project.
        name: Name.
        color: Colour as ``#rrggbb``.
        key: Key of the keyboard that chooses it; empty for none.
        revision: Revision of the project at the last change.
        points: Number of training points.
        check_points: Number of check points.
    """

    id: int
    name: str
    color: str
    key: str
    revision: int
    points: int = 0
    check_points: int = 0


class ClassConflictError(Exception):
    """A class has changed meanwhile, or has points; ``current`` is its state, None if it no longer exists."""

    def __init__(self, text: str, current: ProjectClass | None) -> None:
        self.current = current
        super().__init__(text)


def read_classes(connection: sqlite3.Connection) -> list[ProjectClass]:
    """Return the classes by id, with the numbers of their points that are not unsure."""
    counts = {
        (row["class"], row["role"] == CHECK): row["n"]
        for row in connection.execute(
            "SELECT class, role, count(*) AS n FROM points WHERE NOT coalesce(unsure, 0) GROUP BY class, role = 'check'"
        )
    }
    return [
        ProjectClass(
            row["id"],
            row["name"],
            row["color"],
            row["key"] or "",
            row["revision"],
            counts.get((row["name"], False), 0),
            counts.get((row["name"], True), 0),
        )
        for row in connection.execute("SELECT * FROM classes ORDER BY id")
    ]


def adopt_classes(connection: sqlite3.Connection) -> None:
    """Add the classes that another program wrote into points, if there are any."""
    names = _unknown_names(connection)
    if names:
        with transaction(connection):
            _insert(connection, [(name, None) for name in _unknown_names(connection)])


def add_classes(path: Path, wanted: Sequence[tuple[str, str | None]]) -> list[ProjectClass]:
    """Add classes of these names and colours; classes that exist get the given colour.

    Raises:
        LegendError: A name is empty, too long, or there would be more than 255 classes.
    """
    with connected(path) as connection, transaction(connection):
        known = {normalise_name(one.name): one for one in read_classes(connection)}
        for name, color in wanted:
            own = known.get(normalise_name(name))
            if own is not None and color is not None and color != own.color:
                _update(connection, own.id, {"color": color})
        _insert(connection, [pair for pair in wanted if normalise_name(pair[0]) not in known])
    return list_classes(path)


def list_classes(path: Path) -> list[ProjectClass]:
    """Return the classes of a file."""
    with connected(path) as connection:
        return read_classes(connection)


def change_class(
    path: Path, class_id: int, revision: int, *, name: str | None, color: str | None, key: str | None
) -> ProjectClass:
    """Rename a class, or change its colour or key; None keeps a value. Points follow a new name.

    Raises:
        ClassConflictError: The class has another revision, or no longer exists.
        LegendError: Another class has the name.
    """
    with connected(path) as connection, transaction(connection):
        own = _current(connection, class_id, revision)
        values = {k: v for k, v in (("name", name), ("color", color), ("key", key)) if v is not None}
        if name is not None:
            values["name"] = _checked_name(name)
            others = [one.name for one in read_classes(connection) if one.id != class_id]
            _check_unused(values["name"], others)
        if key:
            connection.execute("UPDATE classes SET key = NULL WHERE key = ?", (key,))
        found = _update(connection, class_id, values)
        if values.get("name", own.name) != own.name:
            connection.execute(
                "UPDATE points SET class = ?, revision = ? WHERE class = ?", (values["name"], found, own.name)
            )
        return _find(connection, class_id)


def delete_class(path: Path, class_id: int, revision: int) -> None:
    """Delete a class without points.

    Raises:
        ClassConflictError: It has points, has another revision, or no longer exists.
    """
    with connected(path) as connection, transaction(connection):
        own = _current(connection, class_id, revision)
        count = connection.execute("SELECT count(*) FROM points WHERE class = ?", (own.name,)).fetchone()[0]
        if count:
            raise ClassConflictError(f"the class {own.name!r} has {count} points", own)
        connection.execute("DELETE FROM classes WHERE id = ?", (class_id,))
        connection.execute("UPDATE geoseg_state SET classes_revision = ?", (next_revision(connection),))


def to_legend(classes: Sequence[ProjectClass]) -> Legend:
    """Return the legend of the classes, with ids in their order.

    Raises:
        LegendError: There is no class.
    """
    return Legend(tuple(LandClass(n, one.name, one.color) for n, one in enumerate(classes)))


def _unknown_names(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT trim(class) FROM points WHERE trim(coalesce(class, '')) != '' "
        "AND class NOT IN (SELECT name FROM classes)"
    )
    return [row[0] for row in rows]


def _insert(connection: sqlite3.Connection, wanted: Sequence[tuple[str, str | None]]) -> None:
    if not wanted:
        return
    there = read_classes(connection)
    if len(there) + len(wanted) > MAX_CLASSES:
        raise LegendError("too many classes", expected=f"at most {MAX_CLASSES}", got=len(there) + len(wanted))
    names = [one.name for one in there]
    new = [_checked_name(name) for name, _ in wanted]
    for position, name in enumerate(new):
        _check_unused(name, [*names, *new[:position]])
    colors = default_colors([*names, *new])[len(names) :]
    free = [key for key in _KEYS if key not in {one.key for one in there}]
    revision = next_revision(connection)
    for position, (name, color) in enumerate(zip(new, (pair[1] for pair in wanted), strict=True)):
        key = free[position] if position < len(free) else None
        connection.execute(
            "INSERT INTO classes (name, color, key, revision) VALUES (?, ?, ?, ?)",
            (name, color or colors[position], key, revision),
        )
        # Points that a program wrote with blanks around the name.
        connection.execute(
            "UPDATE points SET class = ? WHERE class != ? AND trim(class) = ?", (name, name, name)
        )
    connection.execute("UPDATE geoseg_state SET classes_revision = ?", (revision,))


def _update(connection: sqlite3.Connection, class_id: int, values: dict[str, str]) -> int:
    revision = next_revision(connection)
    for column, value in values.items():
        connection.execute(f"UPDATE classes SET {column} = ? WHERE id = ?", (value or None, class_id))
    connection.execute("UPDATE classes SET revision = ? WHERE id = ?", (revision, class_id))
    connection.execute("UPDATE geoseg_state SET classes_revision = ?", (revision,))
    return revision


def _current(connection: sqlite3.Connection, class_id: int, revision: int) -> ProjectClass:
    own = next((one for one in read_classes(connection) if one.id == class_id), None)
    if own is None:
        raise ClassConflictError("the class no longer exists", None)
    if own.revision != revision:
        raise ClassConflictError(f"the class {own.name!r} has changed meanwhile", own)
    return own


def _find(connection: sqlite3.Connection, class_id: int) -> ProjectClass:
    return next(one for one in read_classes(connection) if one.id == class_id)


def _checked_name(name: str) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > 100 or not plain.isprintable():
        raise LegendError(
            "a class needs a name", expected="1 to 100 printable characters", got=repr(name[:120])
        )
    return plain


def _check_unused(name: str, others: Sequence[str]) -> None:
    if normalise_name(name) in {normalise_name(other) for other in others}:
        raise LegendError("another class has this name", got=repr(name), hint="Choose another name.")
