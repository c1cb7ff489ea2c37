"""Name a stack of raster files, whose bands are read as those of one raster, by one path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from geoseg.errors import SettingsError

_MARK, _SEPARATOR = "/stack:", "|"
_MAX_LENGTH = (
    3500  # Linux rejects paths of 4,096 bytes in every call, even in one that asks whether they exist.
)


def stack_path(files: Sequence[Path]) -> Path:
    """Return the path that stands for a stack of files wherever one raster is expected.

    No file has this path; the files are opened when it is read. Its stem is what the stems of the files begin with.

    Raises:
        SettingsError: The paths are too long together, or contain a vertical bar.

    >>> stack_path([Path("/data/s2_B04.tif"), Path("/data/s2_B08.tif")]).stem
    's2'
    """
    names = [str(file) if _is_url(file) else str(file.absolute()) for file in files]
    text = _MARK + "".join(name + _SEPARATOR for name in names)
    if len(text.encode()) > _MAX_LENGTH or any(_SEPARATOR in name for name in names):
        raise SettingsError(
            "these file names cannot be given as a stack",
            where="stack",
            expected=f"at most {_MAX_LENGTH:,} bytes of paths together, without a vertical bar",
            got=f"{len(names)} paths of {len(text.encode()):,} bytes",
            hint="Write the paths to a text file, one on each line, and give that file as the raster.",
        )
    return Path(text) / _image_name(files)


def stacked_files(path: Path) -> tuple[Path, ...] | None:
    """Return the files that a path of :func:`stack_path` stands for; None for any other path."""
    text = str(path)
    if not text.startswith(_MARK):
        return None
    return tuple(Path(name) for name in text.removeprefix(_MARK).split(_SEPARATOR)[:-1])


def _image_name(files: Sequence[Path]) -> str:
    """Return what the file stems begin with, or else the first one, without dots."""
    stems = [file.stem for file in files]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    # Leave out the beginning of a band number, as in s2_B0.
    shared = re.match(r"(.*[^\W_])[\W_]", "".join(letters[0] for letters in same))
    return (shared[1] if shared else stems[0]).replace(".", "_")


def _is_url(file: Path) -> bool:
    return re.match(r"https?:/", str(file)) is not None
