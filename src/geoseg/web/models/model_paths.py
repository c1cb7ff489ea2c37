"""Paths of the served model files, by name."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import SettingsError
from geoseg.settings.serving import ServeSettings

SUFFIX = ".geoseg"


def find_models(settings: ServeSettings) -> dict[str, Path]:
    """Return the paths of existing model files by model name.

    They are in the order of the settings; files of a folder are sorted by name.

    Raises:
        SettingsError: A path is neither a model file nor a folder, or two files have the same name.
    """
    found = dict[str, Path]()
    for place in settings.models:
        for path in _files(place):
            other = found.setdefault(path.stem, path)
            if other.resolve() != path.resolve():
                raise SettingsError(
                    f"two models have the name {path.stem}",
                    where=path,
                    got=f"also {other}",
                    hint="Rename one of the files.",
                )
    return found


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.glob(f"*{SUFFIX}") if path.is_file())
    if place.is_file() and place.suffix != SUFFIX:
        raise SettingsError(
            "this is not a model file",
            where=place,
            expected=f"a file that geoseg train wrote, which ends in {SUFFIX}, or a folder of such files",
        )
    if place.is_file():
        return [place]
    raise SettingsError("no such model", where=place, expected="a model file, or a folder of them")
