"""Write figures to picture files atomically."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.file_kinds import MADE_BY, PICTURE


def write_picture(figure: Figure, path: Path, *, overwrite: bool) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    with whole_file(path, PICTURE, overwrite=overwrite) as partial:
        figure.savefig(partial, metadata={"Software": MADE_BY})
