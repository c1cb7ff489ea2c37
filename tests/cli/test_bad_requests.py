"""Outputs and options that cannot be: one line that says what is wrong, where, what was expected and what to do; nothing half-written."""

from __future__ import annotations

import pytest
import rasterio
import torch

SETTINGS, RASTER, POINTS, LEGEND, DATASET, MODEL, OUTPUT = range(2, 9)
ENDINGS = {"sample": ".gpkg", "train": ".geoseg", "predict": ".tif", "evaluate": ".png", "demo": ""}


# Outputs


@pytest.mark.parametrize("verb", ["sample", "train", "predict", "evaluate", "demo"])
def test_an_output_below_a_file_is_refused(geoseg, request, dataset, tmp_path, verb, assert_fails, files):
    (tmp_path / "file").write_text("")
    closed = tmp_path / "file" / "folder" / f"result{ENDINGS[verb]}"
    need = {name: request.getfixturevalue(name) for name in ("points", "model", "raster")}
    commands = {
        "sample": ["points", "sample", dataset, "-o", closed],
        "train": ["train", dataset, "--points", need["points"], "-o", closed],
        "predict": ["predict", need["model"], need["raster"], "-o", closed],
        "evaluate": ["evaluate", need["model"], dataset, "--picture", closed],
        "demo": ["demo", "-o", closed],
    }

    outcome = geoseg(*commands[verb])

    assert_fails(outcome, OUTPUT, tmp_path / "file", "this folder is not writable", "Choose another folder")
    assert files(tmp_path) == {"file"}


@pytest.mark.parametrize("verb", ["sample", "train", "evaluate"])
def test_an_output_that_exists_is_left_alone(geoseg, request, dataset, tmp_path, verb, assert_fails, files):
    old = tmp_path / f"old{ENDINGS[verb]}"
    old.write_text("old")
    points, model = request.getfixturevalue("points"), request.getfixturevalue("model")
    commands = {
        "sample": ["points", "sample", dataset, "-o", old],
        "train": ["train", dataset, "--points", points, "-o", old],
        "evaluate": ["evaluate", model, dataset, "--picture", old],
    }

    assert_fails(geoseg(*commands[verb]), OUTPUT, f"{old}: this file exists", "not replaced")
    assert files(tmp_path) == {old.name}
    assert old.read_text() == "old"


# Options


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["train", "a.tif", "--points", "p.csv", "-o", "m", "--device", "gpu"],
            ["--device", "'cuda'", "gpu"],
        ),
        (
            ["train", "a.tif", "--points", "p.csv", "-o", "m", "--recipe", "best"],
            ["--recipe", "'pfce'", "best"],
        ),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--patch", "100"], ["--patch", "multiple of 32"]),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--bands", "0,1"], ["--bands", "got 0"]),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--bands", "red"], ["--bands", "got red"]),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--bands", ","], ["--bands"]),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--indices", "4"], ["--indices", "such as 4-1"]),
        (["train", "a.tif", "--points", "p.csv", "-o", "m", "--indices", "4-0"], ["--indices", "got 0"]),
        (
            ["train", "a.tif", "--points", "p.csv", "-o", "m", "--indices", "1-1"],
            ["--indices", "that differ"],
        ),
        (
            ["train", "a.tif", "--points", "p.csv", "-o", "m", "--check-share", "1"],
            ["--check-share", "less than"],
        ),
        (["points", "sample", "d", "-o", "p.csv", "--scope", "class"], ["--scope", "'tile'", "got class"]),
        (
            ["points", "sample", "d", "-o", "p.csv", "--scope", "total", "--tile", "64"],
            ["tile needs scope tile", "scope is total"],
        ),
        (["points", "sample", "d", "-o", "p.csv", "--per-class", "0"], ["--per-class", "got 0"]),
        (["points", "sample", "d", "-o", "p.csv", "--seed", "-1"], ["--seed", "got -1"]),
        (["predict", "m.geoseg", "a.tif", "-o", "b.tif", "--window", "3"], ["--window", "got 3"]),
        (["predict", "m.geoseg", "a.tif", "-o", "b.tif", "--precision", "half"], ["--precision", "'bf16'"]),
        (["evaluate", "m.geoseg", "d", "--role", "test"], ["--role", "'check'", "got test"]),
    ],
)
def test_an_option_that_cannot_be_is_named_with_what_could_be(geoseg, command, words, assert_fails):
    assert_fails(geoseg(*command), SETTINGS, *words)


def test_a_device_that_is_not_there_is_named(geoseg, model, raster, tmp_path, assert_fails, files):
    if torch.backends.mps.is_available():
        pytest.skip("has Apple's graphics processor")

    outcome = geoseg("predict", model, raster, "-o", tmp_path / "map.tif", "--device", "mps")

    assert_fails(outcome, SETTINGS, "--device: this device is not available", "expected", "got mps")
    assert files(tmp_path) == set()


def test_a_comparison_with_nothing_is_refused(geoseg, model, raster, dataset, tmp_path, assert_fails):
    mask = dataset / "masks" / "north.tif"

    assert_fails(
        geoseg("evaluate", model),
        SETTINGS,
        "expected a dataset folder with masks as DATA, or a raster as DATA and --points FILE",
    )
    assert_fails(geoseg("evaluate", model, raster), SETTINGS, raster, "expected --points FILE")
    assert_fails(
        geoseg("evaluate", model, raster, "--truth", mask), SETTINGS, "--truth", "Predict the raster"
    )
    assert_fails(geoseg("evaluate", mask, "--truth", mask), LEGEND, mask, "--legend")
    legend = ["--legend", dataset / "legend.json"]
    assert_fails(geoseg("evaluate", mask, *legend), SETTINGS, "expected --truth MASK or --points FILE")
    with rasterio.open(raster) as image:
        assert image.count == 3
    assert_fails(geoseg("evaluate", raster, "--truth", mask), RASTER, raster, "one band")
