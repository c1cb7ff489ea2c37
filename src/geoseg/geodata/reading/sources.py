"""Find the files that a raster reads its pixels from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.errors import RasterError
from geoseg.geodata.reading.embeddings.recognition import array_files
from geoseg.geodata.reading.embeddings.tessera import scales_beside
from geoseg.geodata.reading.opening import opened, remote_url
from geoseg.geodata.reading.stacks import stack_members

_MAX_QUOTED = 3


def source_names(path: Path) -> list[str]:
    """Return the GDAL names of all files that a raster reads pixels from.

    These are the file itself, its mask, the scales of its embeddings and, recursively, the sources of a VRT, including missing ones; for a stack,
    those of each of its files, and the text file that lists them.

    Raises:
        RasterError: As of :func:`open_upright`.
    """
    members = stack_members(path)
    if members is not None:
        names = [name for member in members for name in source_names(member)]
        return list(dict.fromkeys([*([str(path)] if path.is_file() else []), *names]))
    arrays = array_files(path)
    if arrays is not None:
        return list(map(str, arrays))
    scales = scales_beside(path)
    found, left = dict[str, None](), [str(path), *([] if scales is None else [str(scales)])]
    while left:
        name = left.pop()
        if name in found:
            continue
        found[name] = None
        is_nested = name not in (str(path), str(scales))
        if is_nested and not (name.lower().endswith(".vrt") and Path(name).exists()):
            continue
        with opened(Path(name)) as dataset:
            if not is_nested or dataset.driver == "VRT":
                left += [file for file in dataset.files if not file.endswith(".aux.xml")]
    return list(found)


def local_files(path: Path, names: Sequence[str] | None = None) -> list[Path]:
    """Return the local files among the sources of a raster, sorted. A source in an archive gives the archive.

    Args:
        path: The raster.
        names: The result of :func:`source_names`, if it is known.

    Raises:
        RasterError: As of :func:`open_upright`.
    """
    local = {_local_file(name) for name in names or source_names(path)}
    return sorted(file for file in local if file is not None and file.exists())


def _local_file(name: str) -> Path | None:
    """Return the local file of a GDAL name; None for a remote file."""
    if remote_url(Path(name)) is not None:
        return None
    if not name.startswith("/vsi"):
        return Path(name)
    inside = Path("/" + name.split("/", 2)[2].lstrip("/"))
    return next((part for part in (inside, *inside.parents) if part.is_file()), None)


def check_sources(path: Path) -> None:
    """Check that the sources of a virtual raster exist.

    Raises:
        RasterError: A source is missing.
    """
    for member in stack_members(path) or ():
        check_sources(member)
    if path.suffix.lower() != ".vrt" or remote_url(path) is not None:
        return
    missing = [n for n in source_names(path) if not n.startswith("/vsi") and not Path(n).exists()]
    if not missing:
        return
    more = f" and {len(missing) - _MAX_QUOTED} more" if len(missing) > _MAX_QUOTED else ""
    raise RasterError(
        "source files of this virtual raster are missing",
        where=path,
        got=f"no {', '.join(missing[:_MAX_QUOTED])}{more}",
        hint="Restore them, or build the virtual raster again from their current location.",
    )
