"""Read Shapefiles with missing files, with assumptions about index, CRS and encoding."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyogrio

from geoseg.errors import PointsError

_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_ANSI_IDS = (0x00, 0x03, 0x57)
"""Language ids of a .dbf that mean "not declared" or "Windows ANSI"."""


@dataclass(frozen=True)
class Shapefile:
    """A Shapefile that GDAL can read, its text encoding (None: as declared in it), and notes on assumptions."""

    path: Path
    encoding: str | None
    notes: tuple[str, ...]


@contextmanager
def complete_shapefile(path: Path) -> Iterator[Shapefile]:
    """Yield a Shapefile with an index. If the .shx is missing, yield a copy with an index in a temporary folder.

    Raises:
        PointsError: The .dbf (attributes) or the .shp is missing.
    """
    parts = {part.suffix.lower(): part for part in path.parent.iterdir() if part.stem == path.stem}
    for ending, held in ((".shp", "the positions"), (".dbf", "the classes")):
        if ending not in parts:
            raise PointsError(
                "the Shapefile is incomplete",
                where=path,
                expected=f"{path.stem}{ending} in the same folder",
                hint=f"Copy {path.stem}{ending} too: it contains {held}.",
            )
    encoding, notes = _encoding(parts)
    if ".prj" not in parts:
        notes += (f"{path.stem}.prj is missing, so the file does not declare a CRS.",)
    if ".shx" in parts:
        yield Shapefile(parts[".shp"], encoding, notes)
        return
    notes += (f"{path.stem}.shx is missing; the index was rebuilt.",)
    with tempfile.TemporaryDirectory() as folder:
        for ending, part in parts.items():
            if ending in {".shp", ".dbf", ".prj", ".cpg"}:
                shutil.copy(part, Path(folder) / f"{path.stem}{ending}")
        with _restored_index():
            yield Shapefile(Path(folder) / f"{path.stem}.shp", encoding, notes)


@contextmanager
def _restored_index() -> Iterator[None]:
    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})


def _encoding(parts: dict[str, Path]) -> tuple[str | None, tuple[str, ...]]:
    """Detect UTF-8 or Windows-1252 from the bytes if neither the .cpg nor the .dbf declares the encoding."""
    table = parts[".dbf"].read_bytes()
    if ".cpg" in parts or len(table) < 32:
        return None, ()
    texts = table[int.from_bytes(table[8:10], "little") :]
    if not _NOT_ASCII.search(texts):
        return None, ()
    # A full field may end within a multi-byte character, so a few bytes may be left over.
    whole = len(_MULTIBYTE.findall(texts))
    left = len(_NOT_ASCII.findall(_MULTIBYTE.sub(b"", texts)))
    is_utf8 = whole > left
    if not is_utf8 and table[29] not in _ANSI_IDS:
        return None, ()
    name = "UTF-8" if is_utf8 else "Windows-1252"
    note = f"{parts['.dbf'].stem}.cpg is missing; the texts were read as {name}."
    return ("utf-8" if is_utf8 else "cp1252"), (note,)
