"""Any torch module or function as a predictor of class probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import SettingsError

_PROOF_PX = 64


class ModulePredictor:
    """A module or function of images that gives logits, as a predictor.

    Args:
        module: From images (N, B, h, w), float32, to logits (N, C, h', w'), or to a dict with them under "out" as
            torchvision's networks give. One channel is a binary logit: its class 1 against class 0. Logits of a lower
            resolution are upsampled bilinearly.
        bands: B.
        device: Where to compute; None: where the module's parameters are.
        prepare: Applied to the images first, such as a normalisation; None: they stay in the raster's values.

    Raises:
        SettingsError: The module does not give logits of images, or the device is not available.
    """

    def __init__(
        self,
        module: Callable[[Tensor], Any],
        bands: int,
        *,
        device: str | None = None,
        prepare: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._module, self._prepare = module, prepare
        self._device = _device_of(module) if device is None else _checked_device(device)
        if isinstance(module, nn.Module):
            module.to(self._device)
        with torch.inference_mode():
            self._channels = self._logits(torch.zeros(1, bands, _PROOF_PX, _PROOF_PX)).shape[1]

    @property
    def classes(self) -> int:
        """C, the number of classes; a single channel tells two apart."""
        return max(2, self._channels)

    @torch.inference_mode()
    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w), float32; pixels that are not valid, and missing bands, are 0."""
        images = torch.from_numpy(np.where(valid[:, None] & np.isfinite(pixels), pixels, np.float32(0)))
        logits = self._logits(images).float()
        full = functional.interpolate(logits, pixels.shape[-2:], mode="bilinear", align_corners=False)
        if full.shape[1] == 1:
            full = torch.cat([torch.zeros_like(full), full], dim=1)
        return full.softmax(dim=1).cpu().numpy()

    def _logits(self, images: Tensor) -> Tensor:
        images = images.to(self._device)
        found = self._module(images if self._prepare is None else self._prepare(images))
        logits = found["out"] if isinstance(found, Mapping) and "out" in found else found
        if isinstance(logits, np.ndarray):
            logits = torch.from_numpy(logits)
        if not isinstance(logits, Tensor) or logits.ndim != 4 or len(logits) != len(images):
            shape = tuple(logits.shape) if hasattr(logits, "shape") else type(logits).__name__
            raise SettingsError(
                "the module gives no logits of images",
                where="module",
                expected=f"shape ({len(images)}, C, H, W) from images {tuple(images.shape)}",
                got=shape,
            )
        return logits


@contextmanager
def evaluating(module: object) -> Iterator[None]:
    """Set a module to evaluate meanwhile, then back to the mode and device that it had."""
    if not isinstance(module, nn.Module):
        yield
        return
    modes, device = {one: one.training for one in module.modules()}, _device_of(module)
    module.eval()
    try:
        yield
    finally:
        module.to(device)
        for one, was_training in modes.items():
            one.training = was_training


def digest_of(module: object) -> str | None:
    """Return a SHA-256 of a module's structure, parameters and buffers; None for a function."""
    if not isinstance(module, nn.Module):
        return None
    found = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _device_of(module: object) -> torch.device:
    parameters = module.parameters() if isinstance(module, nn.Module) else iter(())
    first = next(parameters, None)
    return torch.device("cpu") if first is None else first.device


def _checked_device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError("this device is not available", where="device", got=name) from error
    return torch.device(name)
