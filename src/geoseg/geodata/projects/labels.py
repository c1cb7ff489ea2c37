"""Labelled shapes of a project: read and write rows, with a check of their revision."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from geoseg.domain.points import CHECK, TRAIN
from geoseg.geodata.projects.geometry_blobs import decode_geometry, encode_geometry

_SELECT = (
    "SELECT p.uuid, p.image, p.geom, c.id AS class_id, p.class, p.unsure, p.source, p.role, p.annotator, p.date, "
    "p.revision FROM points p LEFT JOIN classes c ON c.name = p.class"
)
_FROM_ELSEWHERE = "qgis"


@dataclass(frozen=True)
class Label:
    """A labelled point, line or polygon.

    Attributes:
        id: UUID.
        image: Name of the raster; empty if a program did not say it.
        geometry: The shape, in the CRS of the file.
        class_id: Id of the class in the project; None without a class.
        is_unsure: Whether the annotator could not tell the class.
        source: "clicked", "suggested", "random", "imported" or "qgis".
        role: "train" or "check".
        annotator: Name of the person.
        date: Time of the last change, ISO 8601.
        revision: Revision of the project at the last change.
    """

    id: str
    image: str
    geometry: BaseGeometry
    class_id: int | None
    is_unsure: bool = False
    source: str = "clicked"
    role: str = TRAIN
    annotator: str = ""
    date: str = ""
    revision: int = 0

    def has_content_of(self, other: Label) -> bool:
        """Return whether a person sees no difference between two labels: revision, name and date may differ."""
        same = ("id", "image", "class_id", "is_unsure", "source", "role")
        return all(getattr(self, name) == getattr(other, name) for name in same) and bool(
            shapely.equals_identical(self.geometry, other.geometry)
        )

    def to_record(self) -> dict[str, Any]:
        """Return the form in the change log."""
        return {**vars(self), "geometry": shapely.to_wkt(self.geometry, rounding_precision=-1)}


def label_from_record(record: dict[str, Any]) -> Label:
    """Return a label from its form in the change log."""
    return Label(**{**record, "geometry": shapely.from_wkt(record["geometry"])})


def now() -> str:
    """Return the time in the form of GeoPackage columns."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def labels_since(connection: sqlite3.Connection, revision: int) -> list[Label]:
    """Return the labels that changed after a revision, in the order of their changes."""
    rows = connection.execute(f"{_SELECT} WHERE p.revision > ? ORDER BY p.revision, p.fid", (revision,))
    return list(_labels(rows))


def deleted_since(connection: sqlite3.Connection, revision: int) -> list[str]:
    """Return the ids of the labels that were deleted after a revision."""
    rows = connection.execute("SELECT uuid FROM geoseg_deleted WHERE revision > ?", (revision,))
    return [row[0] for row in rows]


def find_labels(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Label]:
    """Return the labels of these ids that exist."""
    found = dict[str, Label]()
    for start in range(0, len(ids), 500):
        part = list(ids[start : start + 500])
        marks = ",".join("?" * len(part))
        for label in _labels(connection.execute(f"{_SELECT} WHERE p.uuid IN ({marks})", part)):
            found[label.id] = label
    return found


def _labels(rows: Iterable[sqlite3.Row]) -> Iterator[Label]:
    """Yield labels; rows without a geometry or an id, which only other programs write, are left out."""
    for row in rows:
        shape = decode_geometry(row["geom"])
        if shape is None or row["uuid"] is None:
            continue
        yield Label(
            id=row["uuid"],
            image=row["image"] or "",
            geometry=shape,
            class_id=row["class_id"],
            is_unsure=bool(row["unsure"]),
            source=row["source"] or _FROM_ELSEWHERE,
            role=CHECK if row["role"] == CHECK else TRAIN,
            annotator=row["annotator"] or "",
            date=str(row["date"] or ""),
            revision=int(row["revision"] or 0),
        )


def put_labels(connection: sqlite3.Connection, labels: Iterable[Label], revision: int) -> list[Label]:
    """Insert or replace labels inside a transaction; return them with their new revision."""
    names = {row["id"]: row["name"] for row in connection.execute("SELECT id, name FROM classes")}
    srs_id = connection.execute(
        "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = 'points'"
    ).fetchone()[0]
    stored = [replace(label, revision=revision, date=now()) for label in labels]
    known = find_labels(connection, [label.id for label in stored])
    for label in stored:
        values = {
            "geom": encode_geometry(label.geometry, srs_id),
            "class": None if label.class_id is None else names.get(label.class_id),
            "unsure": int(label.is_unsure),
            "source": label.source,
            "role": label.role,
            "annotator": label.annotator,
            "date": label.date,
            "image": label.image,
            "weight": 0.0 if label.is_unsure else 1.0,
            "uuid": label.id,
            "revision": revision,
        }
        columns = list(values)
        if label.id in known:
            text = ", ".join(f"{column} = ?" for column in columns)
            connection.execute(f"UPDATE points SET {text} WHERE uuid = ?", (*values.values(), label.id))
        else:
            marks = ", ".join("?" * len(columns))
            connection.execute(
                f"INSERT INTO points ({', '.join(columns)}) VALUES ({marks})", tuple(values.values())
            )
            connection.execute("DELETE FROM geoseg_deleted WHERE uuid = ?", (label.id,))
    return stored


def delete_labels(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete labels inside a transaction."""
    connection.executemany("DELETE FROM points WHERE uuid = ?", [(one,) for one in ids])
