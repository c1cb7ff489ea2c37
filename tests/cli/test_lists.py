"""Options that take several values: repeated, or with commas, the same way for every command."""

from __future__ import annotations

import pytest

from geoseg.cli.options import check_lists, listed
from geoseg.errors import SettingsError


def test_a_list_is_repeated_or_written_with_commas():
    assert listed(["polygons,areas"]) == listed(["polygons", "areas"]) == ["polygons", "areas"]
    assert listed(["1, 2", "3,"]) == ["1", "2", "3"]
    assert listed(None) == []


def test_a_list_before_the_files_leaves_them_alone(geoseg, model, raster, tmp_path):
    target = tmp_path / "map.tif"

    outcome = geoseg("predict", "--also", "areas,stac", "--also", "style", model, raster, "-o", target, "-q")

    assert outcome.code == 0
    names = {"map.tif", "map.tif.aux.xml", "map.areas.json", "map.areas.csv", "map.stac.json", "map.qml"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["predict", "m.geoseg", "a.tif", "--also", "polygons", "areas"], "--also polygons,areas"),
        (["experiment", "--recipes", "forest", "quick", "-o", "r"], "--recipes forest,quick"),
        (["experiment", "--per-class", "10", "50", "-o", "r"], "--per-class 10,50"),
        (["train", "a.tif", "--bands", "1", "2", "-o", "m.geoseg"], "--bands 1,2"),
        (["train", "a.tif", "--bands", "1,", "2", "-o", "m.geoseg"], "--bands 1,2"),
        (["train", "a.tif", "--indices", "4-1", "2-4", "-o", "m.geoseg"], "--indices 4-1,2-4"),
        (
            ["train", "a.tif", "--losses", "rotations", "cutmix", "-o", "m.geoseg"],
            "--losses rotations,cutmix",
        ),
    ],
)
def test_a_list_with_blanks_is_refused_and_the_right_form_shown(geoseg, typed, hint):
    outcome = geoseg(*typed)

    assert outcome.code == SettingsError.exit_code
    assert f"Write a list with commas, such as {hint}, or repeat" in outcome.err
    assert outcome.out == ""


def test_a_file_or_folder_after_a_list_is_no_part_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "naip").mkdir()

    check_lists(["--recipes", "forest", "naip", "-o", "results"], {"--recipes"})
    check_lists(["--also", "polygons", "model.geoseg", "a.tif"], {"--also"})
    check_lists(["--per-class", "10", "data"], set())
