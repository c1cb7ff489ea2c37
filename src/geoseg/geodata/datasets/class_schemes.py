"""Read class schemes from other programs: CSV, and styles of QGIS (QML)."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from geoseg.errors import LegendError
from geoseg.geodata.datasets.legend_files import read_legend

Scheme = list[tuple[str, str | None]]
"""Names of classes, and their colours as ``#rrggbb`` where known."""
_HEADS = {
    "name": ("name", "class", "label", "klasse", "classe", "clase"),
    "color": ("color", "colour", "farbe"),
}
_HEX, _TRIPLE = (
    re.compile(r"#?([0-9a-fA-F]{6})"),
    re.compile(r"(?:rgb\()?(\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3})"),
)


def read_class_scheme(path: Path) -> Scheme:
    """Read names and colours of classes from a legend (JSON), a CSV with columns name and color, or a QML style.

    Raises:
        LegendError: The file cannot be read, or names no class.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return [(one.name, one.color) for one in read_legend(path).classes]
    readers = {".csv": _read_csv, ".txt": _read_csv, ".qml": _read_qml}
    if suffix not in readers:
        raise LegendError(
            "this format is not supported for classes",
            where=path.name,
            expected=".json, .csv or .qml",
            got=suffix,
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = readers[suffix](text)
    except (OSError, UnicodeDecodeError, ET.ParseError, csv.Error) as error:
        raise LegendError("the classes cannot be read", where=path.name, got=error) from error
    found = list({name: (name, color) for name, color in found if name.strip()}.values())
    if not found:
        raise LegendError(
            "the file names no class",
            where=path.name,
            expected="a CSV with a column name, or a QML style with categories",
        )
    return found


def _read_csv(text: str) -> Scheme:
    mark = max(",;\t", key=text.partition("\n")[0].count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=mark) if any(cell.strip() for cell in row)]
    if not rows:
        return []
    head = [cell.strip().lower() for cell in rows[0]]
    at = {
        key: next((head.index(name) for name in names if name in head), None) for key, names in _HEADS.items()
    }
    has_head = at["name"] is not None
    name_at, color_at = (at["name"] or 0, at["color"]) if has_head else (0, 1)
    return [
        (
            row[name_at].strip(),
            _color(row[color_at]) if color_at is not None and color_at < len(row) else None,
        )
        for row in rows[int(has_head) :]
        if name_at < len(row)
    ]


def _read_qml(text: str) -> Scheme:
    """Read the palette of a raster style, or the categories of a vector style."""
    root = ET.fromstring(text)
    entries = [
        (one.get("label") or one.get("value") or "", _color(one.get("color")))
        for one in root.iter("paletteEntry")
    ]
    symbols = {one.get("name"): _symbol_color(one) for one in root.iter("symbol")}
    categories = [
        (one.get("label") or one.get("value") or "", symbols.get(one.get("symbol")))
        for one in root.iter("category")
    ]
    return [*entries, *categories]


def _symbol_color(symbol: ET.Element) -> str | None:
    for option in (*symbol.iter("Option"), *symbol.iter("prop")):
        if (option.get("name") or option.get("k")) == "color":
            return _color(option.get("value") or option.get("v"))
    return None


def _color(text: str | None) -> str | None:
    """Return a colour as ``#rrggbb``, from hexadecimal digits or from three numbers; None for others."""
    plain = (text or "").strip()
    if found := _HEX.fullmatch(plain):
        return f"#{found[1].lower()}"
    if triple := _TRIPLE.match(plain):
        numbers = [int(part) for part in triple.groups()]
        return "#" + "".join(f"{n:02x}" for n in numbers) if max(numbers) <= 255 else None
    return None
