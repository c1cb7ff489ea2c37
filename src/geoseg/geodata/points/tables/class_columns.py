"""Guess the class column of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

CLASS_COLUMNS = (
    *("class", "label", "landcover", "land_cover", "land cover", "landuse", "land_use", "land use"),
    *("lulc", "lc", "cover", "class_name", "classname", "class name", "class_id", "classid"),
    *(
        "klasse",
        "klassen",
        "klassenname",
        "landnutzung",
        "landbedeckung",
        "nutzung",
        "classe",
        "clase",
        "clas",
    ),
    *("klass", "klasa", "classe_nom", "cobertura", "uso", "type", "typ", "tipo", "category", "kategorie"),
    *("categorie", "catégorie", "categoria", "categoría", "classification", "species", "habitat"),
    *("mc_id", "macroclass", "gridcode", "code", "codigo", "código", "value"),
)
"""Names of class columns that are accepted automatically, best first, in lower case."""

_NUMBERING = frozenset({"code", "codigo", "código", "gridcode", "value", "id", "name"})
"""Columns that may contain point numbers or names, even with few points."""

_NO_CLASSES = frozenset(
    {
        *(
            "x",
            "y",
            "z",
            "lon",
            "lat",
            "longitude",
            "latitude",
            "row",
            "col",
            "crs",
            "epsg",
            "wkt",
            "geometry",
        ),
        *("image", "weight", "source", "seed", "role", "annotator", "date", "fid", "objectid", "ogc_fid"),
    }
)
_FEW_CLASSES = 12
_MAX_CLASSES = 50
_MAX_QUOTED = 4


def has_class_column(fields: Iterable[str], requested: str | None) -> bool:
    """Return whether a layer has the requested column, or one with a name of CLASS_COLUMNS."""
    names = {field.strip().lower() for field in fields}
    return requested.lower() in names if requested is not None else not names.isdisjoint(CLASS_COLUMNS)


def guess_class_column(
    columns: Mapping[str, Sequence[str]], names: Iterable[str] | None = None, *, has_names: bool = False
) -> tuple[str | None, list[str]]:
    """Return the class column by its name, and the rejected columns, in which nearly all values differ.

    A column is rejected if its values occur less than twice on average, because it then numbers the points or names
    photographs. Up to twelve different values are accepted, because a class may have a single point, except in columns
    such as "code" and "id". "id" is accepted only if no other column may be the class column.

    Args:
        columns: Values of each column, without empty texts.
        names: Known class names; a column with only these values is not rejected.
        has_names: Whether the format stores the class in "name" (KML and GPX).
    """
    known = {name.strip().lower() for name in names or ()}
    by_name = {name.strip().lower(): name for name in reversed(list(columns))}
    last = ("name", "id") if has_names else ("id",)
    refused: list[str] = []
    for name in (*CLASS_COLUMNS, *last):
        values = columns.get(by_name.get(name, ""), ())
        if not values:
            continue
        is_known = bool(known) and {value.strip().lower() for value in values} <= known
        differ = differ_mostly(values, few=0 if name in _NUMBERING else _FEW_CLASSES)
        is_doubtful = name in last and len(_candidates(columns).keys() - {by_name[name]}) > 0
        if is_known or not (differ or is_doubtful):
            return by_name[name], refused
        refused += [by_name[name]] if differ else []
    return None, refused


def differ_mostly(values: Sequence[str], few: int = _FEW_CLASSES) -> bool:
    """Return whether there are more than ``few`` distinct values that occur less than twice on average."""
    distinct = len(set(values))
    return distinct > few and 2 * distinct > len(values)


def describe_candidates(columns: Mapping[str, Sequence[str]]) -> str:
    """Return the candidate class columns with some of their values, for a message."""
    return "; ".join(
        f"{name} ({', '.join(values[:_MAX_QUOTED])}{', ...' if len(values) > _MAX_QUOTED else ''})"
        for name, values in _candidates(columns).items()
    )


def _candidates(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the columns with 2 to 50 values that occur twice or more on average."""
    distinct = {name: sorted(set(values)) for name, values in columns.items()}
    return {
        name: values
        for name, values in distinct.items()
        if 2 <= len(values) <= _MAX_CLASSES
        and 2 * len(values) <= len(columns[name])
        and name.strip().lower() not in _NO_CLASSES
    }
