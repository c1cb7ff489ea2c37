"""Choice of device and precision, and the question whether torch is installed."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from geoseg.errors import SettingsError
from geoseg.settings import Device, Precision

TORCH_HINT = "pip install geoseg-pointai[torch]"
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def has_torch() -> bool:
    """Return whether torch is installed. It is not imported."""
    return find_spec("torch") is not None


def require_torch(what: str, where: str) -> None:
    """Check that torch is installed.

    Raises:
        SettingsError: It is not.
    """
    if not has_torch():
        raise SettingsError(
            f"{what} needs torch, which is not installed",
            where=where,
            expected="the recipes quick, forest and auto with the bundled backbone need no torch",
            hint=TORCH_HINT,
        )


def choose_device(requested: Device) -> str:
    """Return "cuda", "mps" or "cpu": the requested device, or for "auto" the fastest available.

    torch is imported only if this machine has a GPU.

    Raises:
        SettingsError: The requested device is not available.
    """
    there = {"cuda": _has_cuda(), "mps": _has_mps(), "cpu": True}
    if requested == "auto":
        return next(name for name, is_there in there.items() if is_there)
    if not there[requested]:
        usable = ", ".join(name for name, is_there in there.items() if is_there)
        raise SettingsError("this device is not available", where="--device", expected=usable, got=requested)
    return requested


def choose_precision(requested: Precision, device: str) -> Literal["float32", "bf16"]:
    """Return "bf16" or "float32": the requested precision, or for "auto" bf16 if the hardware supports it.

    Without hardware support bf16 convolutions are emulated, which on a CPU is up to 50 times slower than float32.
    """
    if requested != "auto":
        return requested
    if device == "cuda" and has_torch():
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if device == "cpu" and _cpu_multiplies_bf16() else "float32"


@cache
def _has_cuda() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
    except OSError:
        return False
    if has_torch():
        import torch

        return torch.cuda.is_available()
    from geoseg.inference.runtimes import has_cuda_provider

    return has_cuda_provider()


@cache
def _has_mps() -> bool:
    if platform.system() != "Darwin" or not has_torch():
        return False
    import torch

    return torch.backends.mps.is_available()


@cache
def _cpu_multiplies_bf16() -> bool:
    cpus = Path("/proc/cpuinfo")
    if not cpus.is_file():
        return False
    flags = next(
        (line for line in cpus.read_text().splitlines() if line.startswith(("flags", "Features"))), ""
    )
    return not _BF16_FLAGS.isdisjoint(flags.split())
