"""Models are called by their files' names."""

from __future__ import annotations

import pytest

from geoseg.errors import SettingsError
from geoseg.settings.serving import ServeSettings
from geoseg.web.models.model_paths import find_models


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("wood.geoseg", "city.v2.geoseg", "notes.txt"):
        (folder / name).write_bytes(b"")
    return folder


def test_files_and_folders_are_named(folder, tmp_path):
    single = tmp_path / "zoo.geoseg"
    single.write_bytes(b"")

    found = find_models(ServeSettings(models=(single, folder)))

    assert list(found) == ["zoo", "city.v2", "wood"]
    assert found["wood"] == folder / "wood.geoseg"


def test_a_model_named_twice_is_one(folder):
    assert len(find_models(ServeSettings(models=(folder / "wood.geoseg", folder)))) == 2


def test_two_files_of_one_name_are_refused(folder, tmp_path):
    other = tmp_path / "wood.geoseg"
    other.write_bytes(b"")

    with pytest.raises(SettingsError, match="two models have the name wood"):
        find_models(ServeSettings(models=(folder, other)))


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no such model"):
        find_models(ServeSettings(models=(tmp_path / "none.geoseg",)))
