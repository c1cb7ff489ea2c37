"""Read text tables (CSV) with the encodings and separators of spreadsheets."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from geoseg.errors import PointsError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_ROWS_COMPARED = 50
_MAX_CELL_LENGTH = 2**31 - 1


def read_delimited(path: Path) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Read a text table as texts; return it with notes on assumptions and warnings of possible errors.

    The encoding is that of the byte order mark, else UTF-8, else Windows-1252. The separator is the comma, semicolon,
    tab or vertical bar that splits header and rows into the same number of cells. Empty rows are skipped. Missing cells
    at the end of a row are empty.

    Raises:
        PointsError: The file cannot be read, is not text, or a row has more cells than the header.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PointsError("the point file cannot be read", where=path, got=error.strerror) from error
    text, notes = _decode(raw, path)
    text, stated = _stated_separator(text)
    with _long_cells():
        separator = stated or _find_separator(text)
        rows = _rows(text, separator, path)
    if not rows:
        raise PointsError("the point file cannot be read", where=path, got="an empty file")
    names = [cell.strip() for cell in rows[0][1]]
    header = _unique(names)
    body = [_fitted(row, line, header, where=path) for line, row in rows[1:]]
    return pd.DataFrame(body, columns=header, dtype=str), notes, _warn_of_repeated(names, header)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Raise the cell size limit of the csv module temporarily, for outlines of large polygons."""
    previous = csv.field_size_limit(_MAX_CELL_LENGTH)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _decode(raw: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), None)
    if encoding is None and b"\0" in raw[:1000]:
        encoding = "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
    notes: tuple[str, ...] = ()
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252" if encoding is None else "latin-1", errors="replace")
        notes = (f"{path.name} is not UTF-8; its text was read as Windows-1252.",)
    if any(ord(letter) < 9 or letter == "\ufffd" for letter in text):
        raise PointsError(
            "the point file cannot be read", where=path, expected="a text table", got="binary data"
        )
    return text, notes


def _stated_separator(text: str) -> tuple[str, str | None]:
    """Remove Excel's first line ``sep=;``, and return the separator in it."""
    first, _, rest = text.partition("\n")
    line = first.strip('"\r ')
    if line.lower().startswith("sep=") and len(line) == len("sep=;"):
        return rest, line[-1]
    return text, None


def _find_separator(text: str) -> str:
    sample = [line for line in text.splitlines()[: 4 * _ROWS_COMPARED] if line.strip()][:_ROWS_COMPARED]
    best, best_score = ",", (0, 0)
    for separator in _SEPARATORS:
        counts = [len(row) for row in csv.reader(sample, delimiter=separator)]
        if counts and counts[0] > 1 and (score := (counts.count(counts[0]), counts[0])) > best_score:
            best, best_score = separator, score
    return best


def _rows(text: str, separator: str, path: Path) -> list[tuple[int, list[str]]]:
    """Return the non-empty rows with their line numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise PointsError(
            "the point file cannot be read", where=f"{path}, line {reader.line_num}", got=error
        ) from error


def _unique(names: Sequence[str]) -> list[str]:
    """Return unique column names: number columns without a name and repeated names."""
    seen: Counter[str] = Counter()
    result = []
    for index, name in enumerate(names, start=1):
        seen[name] += 1
        result.append(f"{name}_{seen[name]}" if seen[name] > 1 else name or f"column_{index}")
    return result


def _warn_of_repeated(names: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    """Return a warning for each name that several columns have, ignoring case."""
    keys = [name.lower() for name in names]
    repeated = [key for key, times in Counter(keys).items() if key and times > 1]
    return tuple(
        f"{keys.count(key)} columns are called {names[keys.index(key)]!r}; the first is used. The others are available as "
        f"{', '.join(repr(header[k]) for k in range(len(keys)) if keys[k] == key and k > keys.index(key))}."
        for key in repeated
    )


def _fitted(row: list[str], line: int, header: list[str], *, where: Path) -> list[str]:
    surplus = row[len(header) :]
    if any(cell.strip() for cell in surplus):
        raise PointsError(
            "the point file cannot be read: a row has more cells than the header",
            where=f"{where}, line {line}",
            expected=len(header),
            got=len(row),
            hint="With decimal commas, use another separator such as the semicolon, or quote the numbers.",
        )
    return row[: len(header)] + [""] * (len(header) - len(row))
