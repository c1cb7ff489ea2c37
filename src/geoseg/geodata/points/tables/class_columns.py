"""Which column of a table holds the classes."""

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
"""Names of class columns that are taken without asking, best first, in lower case."""

_NUMBERING = frozenset({"code", "codigo", "código", "gridcode", "value", "id", "name"})
"""Columns that may number or name the points, however few there are."""

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
_MOST_CLASSES = 50
_SHOWN = 4


def could_name_classes(fields: Iterable[str], asked: str | None) -> bool:
    """Tell whether a layer has the column that is asked for, or one with a name of CLASS_COLUMNS."""
    there = {field.strip().lower() for field in fields}
    return asked.lower() in there if asked is not None else not there.isdisjoint(CLASS_COLUMNS)


def guess_class_column(
    columns: Mapping[str, Sequence[str]], names: Iterable[str] | None = None, *, has_names: bool = False
) -> tuple[str | None, list[str]]:
    """Return the column that holds classes by its name, and those of such a name whose values nearly all differ.

    A column is no class column where its values occur less than twice on average: it numbers the
    points, or names photographs. Up to twelve values may differ, for there may be a single point of
    each class, except in columns such as "code" and "id". "id" is taken only where nothing else may
    hold classes.

    Args:
        columns: Values of each column, empty texts left out.
        names: The classes' names, where they are known; a column that holds nothing else is not refused.
        has_names: Whether points of this format say their class in "name" (KML and GPX).
    """
    known = {name.strip().lower() for name in names or ()}
    there = {name.strip().lower(): name for name in reversed(list(columns))}
    last = ("name", "id") if has_names else ("id",)
    refused: list[str] = []
    for name in (*CLASS_COLUMNS, *last):
        values = columns.get(there.get(name, ""), ())
        if not values:
            continue
        is_known = bool(known) and {value.strip().lower() for value in values} <= known
        differ = differ_mostly(values, few=0 if name in _NUMBERING else _FEW_CLASSES)
        is_doubtful = name in last and len(_candidates(columns).keys() - {there[name]}) > 0
        if is_known or not (differ or is_doubtful):
            return there[name], refused
        refused += [there[name]] if differ else []
    return None, refused


def differ_mostly(values: Sequence[str], few: int = _FEW_CLASSES) -> bool:
    """Tell whether there are more than ``few`` values, which occur less than twice on average."""
    distinct = len(set(values))
    return distinct > few and 2 * distinct > len(values)


def describe_candidates(columns: Mapping[str, Sequence[str]]) -> str:
    """Return the columns that may hold classes, with some of their values, for a message."""
    return "; ".join(
        f"{name} ({', '.join(values[:_SHOWN])}{', ...' if len(values) > _SHOWN else ''})"
        for name, values in _candidates(columns).items()
    )


def _candidates(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the columns with 2 to 50 values that occur twice or more on average."""
    distinct = {name: sorted(set(values)) for name, values in columns.items()}
    return {
        name: values
        for name, values in distinct.items()
        if 2 <= len(values) <= _MOST_CLASSES
        and 2 * len(values) <= len(columns[name])
        and name.strip().lower() not in _NO_CLASSES
    }
