"""A compiled network gives what torch gives, without compiling again for each window."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from geoseg.errors import SettingsError
from geoseg.learning.calibration import Calibration
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.models.deeplab import Architecture
from geoseg.networks.models.model_file import Model, ModelRecord
from geoseg.networks.prediction.backends import build_predictor, installed_backends


@pytest.fixture
def small(tiny_network, classes):
    architecture = Architecture("mobilenet_v3_large", 3, 3, 64, 16)
    normal = Normalisation((10.0,) * 3, (2.0,) * 3)
    record = ModelRecord(
        "pfce", architecture, classes, (1, 2, 3), "uint8", normal, 1.0, {}, Calibration(), 32
    )
    return Model(tiny_network(3, 3).eval(), record)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.parametrize(("precision", "agreement"), [("float32", 0.999), ("bf16", 0.97)])
def test_windows_of_any_size_and_number_are_compiled_twice_at_most(small, precision, agreement):
    torch._dynamo.reset()
    exact = build_predictor(small, "torch", device="cpu", precision="float32")
    found = build_predictor(small, "compiled", device="cpu", precision=precision)
    before = counters["stats"]["unique_graphs"]
    rng = np.random.default_rng(0)
    for count, height, width in [(1, 64, 96), (1, 128, 128), (3, 96, 64), (2, 64, 64), (1, 192, 32)]:
        pixels = rng.normal(10, 4, (count, 3, height, width)).astype(np.float32)
        valid = rng.random((count, height, width)) > 0.1
        probabilities = [p.probabilities(pixels, valid) for p in (exact, found)]
        assert probabilities[1].dtype == np.float32
        assert (probabilities[0].argmax(1) == probabilities[1].argmax(1)).mean() >= agreement
    # The first window is compiled before; more than one at a time once more.
    assert counters["stats"]["unique_graphs"] == before + 1


def test_without_a_compiler_one_is_told_what_to_install(small, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(
        SettingsError, match=r"--backend: .*needs a compiler.*no-such-compiler;.*apt install g\+\+"
    ):
        build_predictor(small, "compiled", device="cpu", precision="float32")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(SettingsError, match="needs a compiler"):
        build_predictor(small, "compiled", device="cuda", precision="float32")


def test_what_cannot_be_compiled_is_said(small):
    with pytest.raises(SettingsError, match="on the CPU and with CUDA only"):
        build_predictor(small, "compiled", device="mps", precision="float32")
    architecture = replace(small.record.architecture, head="forest")
    forest = replace(small, record=replace(small.record, architecture=architecture))
    with pytest.raises(SettingsError, match=r"random forest .* --backend torch"):
        build_predictor(forest, "compiled", device="cpu", precision="float32")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
def test_what_the_compiler_says_is_passed_on(small):
    class Broken(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("no such thing\nand more")

    with pytest.raises(SettingsError, match=r"torch.compile does not work here; got no such thing\. Use"):
        build_predictor(replace(small, network=Broken()), "compiled", device="cpu", precision="float32")


def test_compiling_takes_too_long_to_be_measured_by_auto(small):
    assert "compiled" not in installed_backends(small, "cpu") + installed_backends(small, "cuda")
