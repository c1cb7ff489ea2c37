"""Parse numbers in spreadsheet formats: decimal commas, thousands separators, blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EMPTY_TEXTS = frozenset({"", "null", "<null>", "nan", "<na>", "#n/a", "n/a", "na"})
"""Texts for empty cells of QGIS, ArcGIS, pandas, R and Excel, in lower case."""

_BLANKS = re.compile(r"[\s'\u2019]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_BEFORE_THREE_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def is_empty(text: str) -> bool:
    """Return whether a cell has no value."""
    return text.strip().lower() in EMPTY_TEXTS


def find_decimal_mark(texts: Sequence[str]) -> str | None:
    """Return the decimal mark of number texts, "." or ","; None if it is ambiguous.

    Example:
        >>> find_decimal_mark(["9,1234567", "48.5"])
        ','
        >>> find_decimal_mark(["500,123", "5,200,456"])
        '.'
        >>> find_decimal_mark(["500,123"]) is None
        True
    """
    numbers = [_without_blanks(text) for text in texts]
    for text in numbers:
        if "," in text and "." in text:
            return max(",.", key=text.rindex)
        if text.count(",") > 1:
            return "."
        if text.count(".") > 1:
            return ","
    with_comma = [text for text in numbers if "," in text]
    if not with_comma:
        return "."
    return None if all(map(_COMMA_BEFORE_THREE_DIGITS.fullmatch, with_comma)) else ","


def read_numbers(texts: Sequence[str], decimal_mark: str) -> NDArray[np.float64]:
    """Return numbers (P,), NaN for empty cells.

    Raises:
        ValueError: A cell is not a number; the message is the text of the cell.
    """
    return np.array([_read_number(text, decimal_mark) for text in texts], np.float64)


def _without_blanks(text: str) -> str:
    return _BLANKS.sub("", text).replace("\u2212", "-")


def _read_number(text: str, decimal_mark: str) -> float:
    if is_empty(text):
        return float("nan")
    thousands = "," if decimal_mark == "." else "."
    number = _without_blanks(text)
    whole, mark, rest = number.partition(decimal_mark)
    if thousands in whole:
        if not re.fullmatch(rf"[+-]?\d{{1,3}}(\{thousands}\d{{3}})+", whole):
            raise ValueError(text)
        whole = whole.replace(thousands, "")
    number = whole + ("." if mark else "") + rest
    if not _NUMBER.fullmatch(number):
        raise ValueError(text)
    return float(number)
