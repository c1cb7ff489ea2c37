"""A stack of files goes as one path wherever a raster is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.domain.raster_stacks import stack_path, stacked_files
from geoseg.errors import SettingsError


def test_the_path_of_a_stack_stands_for_its_files_in_their_order() -> None:
    files = (Path("/data/red.tif"), Path("/data/nir.tif"))
    assert stacked_files(stack_path(files)) == files
    assert stacked_files(Path("/data/red.tif")) is None


def test_the_path_is_the_same_from_every_folder(tmp_path: Path, monkeypatch) -> None:
    """An unfinished map is continued from another folder, and by workers."""
    path = stack_path([Path("/data/red.tif"), Path("/data/nir.tif")])
    monkeypatch.chdir(tmp_path)
    assert path.is_absolute()
    assert path.resolve() == path


def test_relative_files_are_those_of_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert stacked_files(stack_path([Path("red.tif")])) == (tmp_path / "red.tif",)


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (["s2_B04.tif", "s2_B08.tif"], "s2"),
        (["lsat7_2000_10.tif", "lsat7_2000_70.tif"], "lsat7_2000"),
        (["red.tif", "nir.tif"], "red"),
        (["B04.tif", "B08.tif"], "B04"),
        (["a.2020_1.tif", "a.2020_2.tif"], "a_2020"),
    ],
)
def test_a_stack_is_called_what_the_names_of_its_files_begin_with(names: list[str], stem: str) -> None:
    path = stack_path([Path("/data") / name for name in names])
    assert (path.stem, path.name) == (stem, stem)


def test_paths_too_long_for_the_system_are_rejected_with_the_other_way() -> None:
    files = [Path("/data") / f"{number:0200d}.tif" for number in range(30)]
    with pytest.raises(SettingsError, match="Write the paths to a text file"):
        stack_path(files)
    with pytest.raises(SettingsError, match="without a vertical bar"):
        stack_path([Path("/data/a|b.tif")])
