"""Bad model files and weights: one line that says what is wrong, where, what was expected and what to do; nothing half-written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from geoseg.learning.model_file import FORMAT

SETTINGS, MODEL = 2, 7


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_model_file_from_the_future_is_refused(geoseg, model, raster, tmp_path, assert_fails, files):
    future = tmp_path / "future.geoseg"
    save_file(load_file(model), future, {"geoseg_format": str(FORMAT + 1), "geoseg_record": "{}"})

    outcome = geoseg("predict", future, raster, "-o", tmp_path / "map.tif")

    assert_fails(
        outcome,
        MODEL,
        f"{future}: this model file is from a newer version",
        f"got format {FORMAT + 1}",
        "Update",
    )
    assert files(tmp_path) == {"future.geoseg"}


@pytest.mark.parametrize("kept", [0, 100, 1_000_000])
def test_a_truncated_model_file_is_refused(geoseg, model, raster, tmp_path, kept, assert_fails, files):
    damaged = tmp_path / "damaged.geoseg"
    damaged.write_bytes(model.read_bytes()[:kept])

    outcome = geoseg("predict", damaged, raster, "-o", tmp_path / "map.tif")

    assert_fails(outcome, MODEL, f"{damaged}: the model file is damaged", "expected a complete file")
    assert_fails(geoseg("info", damaged), MODEL, f"{damaged}: the model file is damaged")
    assert files(tmp_path) == {"damaged.geoseg"}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_hostile_model_file_is_not_run(geoseg, raster, tmp_path, zipped, assert_fails, files):
    hostile, mark = tmp_path / "hostile.geoseg", tmp_path / "it ran"
    if zipped:
        torch.save({"weights": Evil(mark)}, hostile)
    else:
        hostile.write_bytes(pickle.dumps(Evil(mark)))

    outcome = geoseg("predict", hostile, raster, "-o", tmp_path / "map.tif")

    assert_fails(outcome, MODEL, f"{hostile}: this is a pickle or a zip archive, which could run code")
    assert not mark.exists()
    assert files(tmp_path) == {"hostile.geoseg"}


def test_hostile_weights_are_not_run(geoseg, dataset, points, tmp_path, assert_fails, files):
    hostile, mark = tmp_path / "hostile.pth", tmp_path / "it ran"
    torch.save({"weights": Evil(mark)}, hostile)
    asked = ["--points", points, "--weights", hostile, "-o", tmp_path / "m.geoseg"]

    outcome = geoseg("train", dataset, *asked, "--backbone", "mobilenet_v3_large", "--patch", 64)

    assert_fails(outcome, MODEL, hostile, "holds more than tensors and was not unpickled", ".safetensors")
    assert not mark.exists()
    assert files(tmp_path) == {"hostile.pth"}


def test_weights_of_another_network_are_refused(geoseg, dataset, points, tmp_path, assert_fails):
    save_file({"embedding.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    asked = ["--points", points, "--weights", tmp_path / "other.safetensors", "-o", tmp_path / "m.geoseg"]

    outcome = geoseg("train", dataset, *asked, "--backbone", "mobilenet_v3_large")

    assert_fails(outcome, MODEL, "other.safetensors", "fits a mobilenet_v3_large", "embedding.weight")


def test_weights_that_need_a_network_are_refused_without_one(
    geoseg, dataset, points, tmp_path, monkeypatch, assert_fails, files
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked = ["--weights", "imagenet", "--backbone", "mobilenet_v3_large", "-o", tmp_path / "m.geoseg"]

    outcome = geoseg("train", dataset, "--points", points, *asked)

    choices = '"imagenet", "coco", "none", or the path of a .safetensors or .pth file'
    assert_fails(outcome, SETTINGS, "--weights: the weights 'imagenet'", choices, "--weights none")
    assert files(tmp_path) == set()
