"""Writing pictures: a figure becomes a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from geoseg.geodata.file_kinds import MADE_BY, PICTURE
from geoseg.geodata.outputs import whole_file


def write_picture(figure: Figure, path: Path, *, overwrite: bool) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    with whole_file(path, PICTURE, overwrite=overwrite) as partial:
        figure.savefig(partial, metadata={"Software": MADE_BY})
