"""The files that the pixels of a raster come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.errors import RasterError
from geoseg.geodata.reading.opening import opened, remote_url

_NAMED_SOURCES = 3


def sources_behind(path: Path) -> list[str]:
    """Return the names of all files that a raster's pixels come from, as GDAL has them.

    These are itself, its mask, the sources of a VRT, and the sources of VRTs among these, whether they exist or not.

    Raises:
        RasterError: As of :func:`open_upright`.
    """
    found, left = dict[str, None](), [str(path)]
    while left:
        name = left.pop()
        if name in found:
            continue
        found[name] = None
        is_nested = name != str(path)
        if is_nested and not (name.lower().endswith(".vrt") and Path(name).exists()):
            continue
        with opened(Path(name)) as dataset:
            if not is_nested or dataset.driver == "VRT":
                left += [file for file in dataset.files if not file.endswith(".aux.xml")]
    return list(found)


def files_behind(path: Path, names: Sequence[str] | None = None) -> list[Path]:
    """Return the files of this machine among a raster's sources, of an archive the archive; sorted.

    Args:
        path: The raster.
        names: What :func:`sources_behind` gives, if it is known.

    Raises:
        RasterError: As of :func:`open_upright`.
    """
    local = {_local_file(name) for name in names or sources_behind(path)}
    return sorted(file for file in local if file is not None and file.exists())


def _local_file(name: str) -> Path | None:
    """Return the file that a name of GDAL's leads to; None for what lies elsewhere."""
    if remote_url(Path(name)) is not None:
        return None
    if not name.startswith("/vsi"):
        return Path(name)
    inside = Path("/" + name.split("/", 2)[2].lstrip("/"))
    return next((part for part in (inside, *inside.parents) if part.is_file()), None)


def check_sources(path: Path) -> None:
    """Make sure that the sources of a virtual raster are where it says.

    Raises:
        RasterError: One is missing.
    """
    if path.suffix.lower() != ".vrt" or remote_url(path) is not None:
        return
    missing = [n for n in sources_behind(path) if not n.startswith("/vsi") and not Path(n).exists()]
    if not missing:
        return
    more = f" and {len(missing) - _NAMED_SOURCES} more" if len(missing) > _NAMED_SOURCES else ""
    raise RasterError(
        "files that this virtual raster is made of are missing",
        where=path,
        got=f"no {', '.join(missing[:_NAMED_SOURCES])}{more}",
        hint="Put them back, or build the virtual raster again where they are now.",
    )
