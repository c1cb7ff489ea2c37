"""Networks compiled for this machine by torch.compile."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import Literal

import numpy as np

from geoseg.errors import SettingsError
from geoseg.networks.models.model_file import Model
from geoseg.networks.prediction.torch_predictor import TorchPredictor

# The sides differ because torch would specialise a square example to square windows and compile again for others.
_FIRST_WINDOW_PX = (96, 160)


def compiled_predictor(model: Model, device: str, precision: Literal["float32", "bf16"]) -> TorchPredictor:
    """Compile a model for windows of any size; this takes a minute or more.

    The network is compiled once more for a batch of more than one window.

    Args:
        model: The model; not a forest.
        device: "cpu" or "cuda".
        precision: "float32" or "bf16".

    Raises:
        SettingsError: The model is a forest, the device has no compiler, or the compiler fails.
    """
    _check(model, device)
    predictor = TorchPredictor(model, device, precision)
    predictor.compile()
    pixels = np.zeros((1, len(model.record.bands), *_FIRST_WINDOW_PX), np.float32)
    try:
        predictor.probabilities(pixels, np.ones((1, *_FIRST_WINDOW_PX), np.bool_))
    except RuntimeError as error:
        raise SettingsError(
            "torch.compile does not work here",
            where="--backend",
            got=str(error).strip().split("\n")[0],
            hint="Use --backend torch.",
        ) from error
    return predictor


def _check(model: Model, device: str) -> None:
    if model.record.architecture.head == "forest":
        raise SettingsError(
            "a random forest is no network and cannot be compiled",
            where="--backend",
            got="compiled",
            hint="Use --backend torch.",
        )
    if device not in ("cpu", "cuda"):
        raise SettingsError(
            "this backend computes on the CPU and with CUDA only",
            where="--backend",
            got=f"compiled on {device}",
        )
    compilers = _compilers(device)
    if all(shutil.which(name) is None for name in compilers):
        raise SettingsError(
            "this backend needs a compiler, and none is found",
            where="--backend",
            expected=" or ".join(compilers),
            got="compiled",
            hint="Install one (Debian and Ubuntu: apt install g++), or name yours in CXX (CUDA: in CC).",
        )


def _compilers(device: str) -> list[str]:
    """Return the compiler names that torch tries: a C++ compiler for the CPU, a C compiler for CUDA."""
    requested = os.environ.get("CC" if device == "cuda" else "CXX")
    if requested:
        return shlex.split(requested)[:1]
    if device == "cuda":
        return ["gcc", "clang"]
    return [{"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")]
