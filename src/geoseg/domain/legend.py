"""The legend: the classes of a map with their ids, names and colours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.class_colors import default_colors
from geoseg.errors import LegendError

UNLABELLED = 255
"""Value of a pixel or point without a class."""

UNSURE = 254
"""Value of a pixel of a map whose confidence is too low for a class."""

MAX_CLASSES = 255

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]+)([.,]0*)?")
_KINDS = {dict: "a JSON object", str: "a text", list: "an empty list", type(None): "nothing"}


@dataclass(frozen=True)
class LandClass:
    """One class: id from 0, name, and colour as ``#rrggbb``.

    ``value`` is its value in masks; None means the id.
    """

    id: int
    name: str
    color: str
    value: int | None = None


@dataclass(frozen=True)
class Legend:
    """The classes of a map, in the order of their ids 0..C-1.

    Raises:
        LegendError: Ids are not 0..C-1, names or values repeat, or a colour is not ``#rrggbb``.
    """

    classes: tuple[LandClass, ...]

    def __post_init__(self) -> None:
        _check_ids([c.id for c in self.classes])
        _check_names([c.name for c in self.classes])
        _check_colors(self.classes)
        _check_values([c.value for c in self.classes])

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(c.name for c in self.classes)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """Colours by id, shape (C, 3): red, green and blue, 0..255."""
        return np.array([[int(c.color[i : i + 2], 16) for i in (1, 3, 5)] for c in self.classes], np.uint8)

    def id_of(self, name: str) -> int:
        """Return the id of the class called ``name``.

        Raises:
            LegendError: The legend has no such class.
        """
        if name in self.names:
            return self.names.index(name)
        raise LegendError(f"the legend has no class {name!r}", expected=f"one of {', '.join(self.names)}")

    def find(self, name: str) -> int | None:
        """Return the id of the class with this name, else of the single class with an equal normalised name, else None."""
        if name in self.names:
            return self.names.index(name)
        alike = [c.id for c in self.classes if normalise_name(c.name) == normalise_name(name)]
        return alike[0] if len(alike) == 1 else None

    def to_records(self) -> list[dict[str, object]]:
        """Return the JSON form: a list of ``{"id", "name", "color"}``, with ``"value"`` where classes have one."""
        return [
            {"id": c.id, "name": c.name, "color": c.color} | ({} if c.value is None else {"value": c.value})
            for c in self.classes
        ]


def normalise_name(name: str) -> str:
    """Normalise a class name for comparison: lower case, single spaces, and integers without decimals.

    Example:
        >>> normalise_name(" Bare  Land ") == normalise_name("bare land")
        True
        >>> normalise_name("1.0")
        '1'
    """
    number = _WHOLE_NUMBER.fullmatch(name.strip())
    if number is not None:
        return str(int(number[1]))
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())


def ids_by_name(own: Legend, wanted: Legend, where: object) -> NDArray[np.uint8]:
    """Return a table (256,) from class ids of one legend to ids of the same names in another; 255 stays.

    Raises:
        LegendError: The other legend lacks a class.
    """
    table = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
    found = [wanted.find(name) for name in own.names]
    missing = [name for name, class_id in zip(own.names, found, strict=True) if class_id is None]
    if missing:
        raise LegendError(
            "the legends have different classes",
            where=where,
            expected=f"classes among {', '.join(wanted.names)}",
            got=", ".join(missing),
        )
    table[: len(own)] = [class_id for class_id in found if class_id is not None]
    return table


def legend_from_records(records: object, where: object = None) -> Legend:
    """Build a legend from its JSON form, a list of ``{"id", "name", "color"}``.

    Raises:
        LegendError: The list or one of its entries is invalid; ``where`` names the file.
    """
    form = 'a JSON list of {"id", "name", "color": "#rrggbb"}'
    if not isinstance(records, Sequence) or isinstance(records, str) or not records:
        raise LegendError(
            "this is not a legend",
            where=where,
            expected=form,
            got=_KINDS.get(type(records), "a single value"),
        )
    try:
        classes = [_class_from_record(r) for r in records]
        return Legend(tuple(sorted(classes, key=lambda c: c.id)))
    except LegendError as error:
        raise LegendError(
            error.what, where=where, expected=error.expected or form, got=error.got, hint=error.hint
        ) from error


def legend_from_names(names: Iterable[str]) -> Legend:
    """Build a legend with ids in the order of ``names``, and the default colours of these names."""
    known = list(names)
    colors = default_colors(known)
    return Legend(tuple(LandClass(i, *pair) for i, pair in enumerate(zip(known, colors, strict=True))))


def _class_from_record(record: object) -> LandClass:
    if not isinstance(record, Mapping):
        raise LegendError("a class cannot be read", got=repr(record))
    missing = [key for key in ("id", "name", "color") if key not in record]
    if missing:
        raise LegendError(
            f"a class has no {missing[0]!r}", got=", ".join(f"{k}: {v}" for k, v in record.items())
        )
    value = record.get("value")
    for key, number in (("id", record["id"]), ("value", 0 if value is None else value)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise LegendError(f"the {key} {number!r} of a class is not a whole number")
    return LandClass(record["id"], str(record["name"]), str(record["color"]).lower(), value)


def _check_ids(ids: Sequence[int]) -> None:
    if not 1 <= len(ids) <= MAX_CLASSES:
        raise LegendError("wrong number of classes", expected=f"1 to {MAX_CLASSES}", got=len(ids))
    if list(ids) != list(range(len(ids))):
        raise LegendError(
            "class ids must count up from 0",
            expected=f"0..{len(ids) - 1}",
            got=", ".join(map(str, ids)),
            hint='If the mask has other values, give each class its mask value as "value".',
        )


def _check_names(names: Sequence[str]) -> None:
    repeated = sorted({n for n in names if names.count(n) > 1 or not n.strip()})
    if repeated:
        raise LegendError("class names must be unique and not empty", got=", ".join(map(repr, repeated)))


def _check_colors(classes: Sequence[LandClass]) -> None:
    for c in classes:
        if not _COLOR.fullmatch(c.color):
            raise LegendError(f"class {c.name!r} has no usable colour", expected="#rrggbb", got=c.color)


def _check_values(values: Sequence[int | None]) -> None:
    given = [value for value in values if value is not None]
    if given and (len(given) < len(values) or len(set(given)) < len(given)):
        raise LegendError(
            'either every class has a unique "value", or none has one', got=", ".join(map(str, values))
        )
