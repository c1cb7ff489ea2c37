"""Class names in point files: comparison with each other and with a legend."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend, legend_from_names, normalise_name
from geoseg.errors import LegendError

MIN_POINTS_PER_CLASS = 3
"""A class with fewer points than this causes a warning."""

_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]+)([.,]0*)?")
_MIN_COMPARED_LENGTH = 4


@dataclass(frozen=True)
class ClassIds:
    """Class ids of texts, and their legend.

    Attributes:
        class_id: uint8 (P,), 0 for an empty text.
        legend: The legend.
        notes: Decisions, one sentence each.
        warnings: Possible mistakes, one sentence each.
    """

    class_id: NDArray[np.uint8]
    legend: Legend
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def whole_number(text: str) -> int | None:
    """Parse an integer written as 7, 7.0 or 7,0; return None for other texts."""
    number = _WHOLE_NUMBER.fullmatch(text.strip())
    return int(number[1]) if number else None


def ids_without_legend(texts: Sequence[str], where: object) -> ClassIds:
    """Build a legend from the classes of points, sorted by number or name.

    Names with equal normalised forms are one class, with the most frequent spelling.

    Raises:
        LegendError: No point has a class, or there are too many classes.
    """
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        if text.strip():
            spellings[normalise_name(text)][text] += 1
    if not spellings:
        raise LegendError("no point has a class", where=where)
    names = {key: _usual_spelling(counts) for key, counts in spellings.items()}
    numbers = {key: whole_number(key) for key in names}
    are_numbers = all(number is not None for number in numbers.values())
    order = sorted(names, key=lambda key: (numbers[key] if are_numbers else 0, names[key]))
    legend = _legend(order, names, where)
    place = {key: index for index, key in enumerate(order)}
    ids = np.array([place.get(normalise_name(text), 0) for text in texts], np.uint8)
    warnings = (*_merged(spellings, names), *near_duplicates(legend.names))
    return ClassIds(ids, legend, (), warnings)


def ids_in_legend(texts: Sequence[str], legend: Legend, where: object) -> ClassIds:
    """Find the classes of points in a legend: by name, else by id (by value if the legend has values).

    Raises:
        LegendError: A class is not in the legend, or some numbers are names and others ids.
    """
    counts = Counter(text for text in texts if text.strip())
    by_name = {text: legend.find(text) for text in counts}
    foreign = [text for text, found in by_name.items() if found is None]
    ids = {one.id if one.value is None else one.value: one.id for one in legend.classes}
    by_id = {text: None if (number := whole_number(text)) is None else ids.get(number) for text in counts}
    if not foreign:
        respelt = sorted(text for text in counts if text not in legend.names)
        notes = (f"Read {_describe_read(respelt, by_name, legend)}.",) if respelt else ()
        return ClassIds(_ids(texts, by_name), legend, notes)
    if None in by_id.values():
        are_codes = all(whole_number(text) is not None for text in counts)
        raise _missing_class_error(
            [t for t in foreign if not (are_codes and by_id[t] is not None)], counts, legend, where=where
        )
    if len(foreign) < len(counts):
        raise LegendError(
            "the classes may be names or ids of the legend",
            where=where,
            expected=_describe_legend(legend),
            got=", ".join(f"{text!r} ({number} points)" for text, number in sorted(counts.items())),
            hint="Write the names of the classes in the point file.",
        )
    note = f"The numbers are read as ids of the legend: {_describe_read(sorted(counts), by_id, legend)}."
    return ClassIds(_ids(texts, by_id), legend, (note,), _warn_of_one_based_ids(by_id, legend))


def is_in_legend(texts: Sequence[str], legend: Legend) -> NDArray[np.bool_]:
    """Return which classes of points (P,) a legend has: by name, or by id or value if none has such a name."""
    by_name = {text: legend.find(text) is not None for text in set(texts)}
    if any(by_name.values()):
        return np.array([by_name[text] for text in texts], np.bool_)
    ids = {one.id if one.value is None else one.value for one in legend.classes}
    return np.array([whole_number(text) in ids for text in texts], np.bool_)


def few_points(counts: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
    """Return a warning about classes with one or two points."""
    few = [
        f"{name!r} ({count})"
        for name, count in zip(names, counts, strict=True)
        if 0 < count < MIN_POINTS_PER_CLASS
    ]
    if not few:
        return ()
    return (f"Classes with fewer than {MIN_POINTS_PER_CLASS} points: {', '.join(few)}.",)


def near_duplicates(names: Iterable[str]) -> tuple[str, ...]:
    """Return a warning about names that differ in one letter, such as "buildng" and "building"."""
    pairs = [
        f"{one!r} and {other!r}"
        for one, other in combinations(sorted(names), 2)
        if _differ_by_a_letter(normalise_name(one), normalise_name(other))
    ]
    if not pairs:
        return ()
    return (f"These may be one class, spelt in two ways: {'; '.join(pairs)}.",)


def _usual_spelling(counts: Counter[str]) -> str:
    """Return the most frequent spelling with normalised spaces; ties are broken alphabetically."""
    trimmed: Counter[str] = Counter()
    for text, number in counts.items():
        trimmed[unicodedata.normalize("NFC", " ".join(text.split()))] += number
    usual = min(trimmed, key=lambda name: (-trimmed[name], name))
    code = whole_number(usual)
    return usual if code is None else str(code)


def _legend(order: Sequence[str], names: Mapping[str, str], where: object) -> Legend:
    try:
        return legend_from_names(names[key] for key in order)
    except LegendError as error:
        hint = "Check that this is the class column; select another one with --class-column."
        raise LegendError(
            error.what, where=where, expected=error.expected, got=error.got, hint=hint
        ) from error


def _merged(spellings: Mapping[str, Counter[str]], names: Mapping[str, str]) -> tuple[str, ...]:
    merged = [
        f"{', '.join(f'{text!r} ({number})' for text, number in sorted(counts.items()))} as {names[key]!r}"
        for key, counts in spellings.items()
        if len(counts) > 1 and whole_number(key) is None
    ]
    return (f"Different spellings were merged into one class: {'; '.join(merged)}.",) if merged else ()


def _ids(texts: Sequence[str], found: Mapping[str, int | None]) -> NDArray[np.uint8]:
    return np.array([found.get(text) or 0 for text in texts], np.uint8)


def _describe_read(texts: Sequence[str], found: Mapping[str, int | None], legend: Legend) -> str:
    return ", ".join(f"{text!r} as {legend.names[found[text] or 0]!r}" for text in texts)


def _missing_class_error(
    foreign: Sequence[str], counts: Counter[str], legend: Legend, *, where: object
) -> LegendError:
    alike = [
        f"{name!r} for {text!r}"
        for text in sorted(foreign)
        for name in legend.names
        if _differ_by_a_letter(normalise_name(text), normalise_name(name))
    ]
    are_codes = all(whole_number(text) is not None for text in foreign)
    return LegendError(
        "the points have a class that is not in the legend",
        where=where,
        expected=f"a name or an id of {_describe_legend(legend)}"
        if are_codes
        else f"one of {', '.join(legend.names)}",
        got=", ".join(f"{text!r} ({counts[text]} points)" for text in sorted(foreign)),
        hint=f"Did you mean {', '.join(alike)}?" if alike else None,
    )


def _describe_legend(legend: Legend) -> str:
    return ", ".join(f"{one.id if one.value is None else one.value} = {one.name}" for one in legend.classes)


def _warn_of_one_based_ids(by_id: Mapping[str, int | None], legend: Legend) -> tuple[str, ...]:
    if 0 in by_id.values() or len(by_id) != len(legend) - 1 or legend.classes[0].value is not None:
        return ()
    return (
        f"No point has the id 0 ({legend.names[0]}). If the codes count from 1, write class names instead.",
    )


def _differ_by_a_letter(one: str, other: str) -> bool:
    """Return whether two names share the first letter and differ by one added, missing, changed or swapped letter."""
    if one[:1] != other[:1] or min(len(one), len(other)) < _MIN_COMPARED_LENGTH:
        return False
    short, long = sorted((one, other), key=len)
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    end = next(
        (i for i, (a, b) in enumerate(zip(short[::-1], long[::-1], strict=False)) if a != b), len(short)
    )
    end = min(end, len(short) - start)
    left, right = short[start : len(short) - end], long[start : len(long) - end]
    is_swapped = len(left) == 2 and left == right[::-1]
    return (len(right) <= 1 or is_swapped) and not re.search(r"\d", left + right) and right != " "
