"""Choice of device and precision."""

from __future__ import annotations

from typing import Literal

import torch

from geoseg.errors import SettingsError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]


def choose_device(requested: Device) -> str:
    """Return "cuda", "mps" or "cpu": the requested device, or for "auto" the fastest available.

    Raises:
        SettingsError: The requested device is not available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
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
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if device == "cpu" and _cpu_multiplies_bf16() else "float32"


def _cpu_multiplies_bf16() -> bool:
    # Older releases of torch do not report this; float32 is then the safe choice.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
