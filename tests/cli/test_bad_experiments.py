"""Bad input to ``geoseg experiment``: one line that names it, and what was there stays as it was."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from geoseg.learning.heads import forest

RASTER, POINTS, LEGEND, DATASET, OUTPUT = 3, 4, 5, 6, 8


@pytest.fixture
def start(geoseg, own_dataset, lightly, tmp_path):
    """Type the command on a dataset that a test has spoilt."""

    def run(*more):
        asked = ["--recipes", "forest", "--per-class", "4", "--seeds", 1, *lightly, *more]
        return geoseg("experiment", own_dataset, *asked, "-o", tmp_path / "results")

    return run


@pytest.fixture
def refused(start, tmp_path, assert_fails):
    """Check that the command fails with a code and words, before it has written anything."""

    def check(code, *words):
        assert_fails(start(), code, *words)
        assert not (tmp_path / "results").exists()

    return check


def test_a_folder_without_masks_is_named(own_dataset, refused):
    shutil.rmtree(own_dataset / "masks")

    refused(DATASET, f"{own_dataset / 'masks'}: images have no mask", "none for north")


def test_names_that_do_not_pair_are_named_on_both_sides(own_dataset, refused):
    (own_dataset / "masks" / "east.tif").rename(own_dataset / "masks" / "east_mask.tif")

    refused(DATASET, "images have no mask", "none for east", "These have no image: east_mask.")


def test_a_list_of_images_that_are_not_there_is_named(own_dataset, refused):
    (own_dataset / "train.txt").write_text("east.tif\nwset.tif\n")

    refused(DATASET, f"{own_dataset / 'train.txt'}", "not in images/", "got wset")


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split_is_named(own_dataset, refused, split):
    (own_dataset / f"{split}.txt").write_text("# later\n")

    refused(DATASET, f"{own_dataset / split}.txt: the split lists no image", "file stems, one a line")


def test_a_split_that_is_not_there_is_named_with_those_that_are(start, assert_fails):
    outcome = start("--train-split", "orthophoto-train")

    assert_fails(outcome, DATASET, "no split 'orthophoto-train'", "expected one of: test, train")


def test_a_folder_without_a_legend_is_named(own_dataset, refused):
    (own_dataset / "legend.json").unlink()

    refused(LEGEND, f"{own_dataset}: this folder has no legend", "expected legend.json")


def test_sizes_that_differ_are_named(own_dataset, write_tiff, refused):
    mask = write_tiff(own_dataset / "masks" / "north.tif", np.zeros((96, 95), np.uint8))

    refused(RASTER, f"{mask}: wrong size", "expected 96 x 96 px", "got 96 x 95 px")


def test_a_class_that_the_legend_lacks_is_named(own_dataset, write_tiff, refused):
    mask = write_tiff(own_dataset / "masks" / "north.tif", np.full((96, 96), 3, np.uint8), index=2)

    refused(
        LEGEND,
        mask,
        "expected 0 = field, 1 = wood, 2 = water",
        "got 3 (9,216 pixels)",
        "--mask-values 3=CLASS",
    )


@pytest.mark.parametrize(("name", "index"), [("west", 1), ("north", 2)])
def test_an_image_that_is_all_nodata_is_named(own_dataset, write_tiff, refused, name, index):
    image = write_tiff(
        own_dataset / "images" / f"{name}.tif", np.zeros((3, 96, 96), np.uint8), nodata=0, index=index
    )

    refused(RASTER, f"{image}: the image is all nodata", "Remove it from the split lists")


def test_a_raster_in_place_of_a_folder_is_named(geoseg, own_dataset, tmp_path, assert_fails):
    raster = own_dataset / "images" / "north.tif"

    outcome = geoseg("experiment", raster, "--recipes", "forest", "-o", tmp_path / "results")

    assert_fails(outcome, DATASET, f"{raster}: no such folder")


def test_results_of_other_settings_stay_and_the_difference_is_named(
    start, tmp_path, assert_fails, files, monkeypatch
):
    """The one test here that trains: a forest on six points that an annotator drew in the middle of things."""
    monkeypatch.setattr(forest, "TREES", 200)
    assert start("--protocol", "centre").code == 0
    folder = tmp_path / "results"
    stored = {name: (folder / name).read_bytes() for name in files(folder)}
    assert json.loads(stored["runs/forest-4-seed0.json"])["points_total"] == 6

    for more, words in (
        (
            ["--protocol", "interior"],
            ["they differ in places", "expected places = centre", "places = interior"],
        ),
        (["--protocol", "centre", "--scope", "total"], ["they differ in scope", "got scope = total"]),
        (["--protocol", "centre", "--epochs", "2"], ["they differ in epochs", "got epochs = 2"]),
        (["--protocol", "centre", "--test-split", "train"], ["test_images, test_split", "truth_sha256"]),
    ):
        assert_fails(start(*more), OUTPUT, f"{folder}: this folder was created with other settings", *words)
    assert {name: (folder / name).read_bytes() for name in files(folder)} == stored


def test_a_results_folder_that_cannot_be_written_is_named(start, tmp_path, assert_fails):
    (tmp_path / "results").write_text("a file of mine")

    assert_fails(start(), OUTPUT, tmp_path / "results")
    assert (tmp_path / "results").read_text() == "a file of mine"
