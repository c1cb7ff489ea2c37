"""Inference: a trained network as a predictor of class probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from geoseg.inference.memory import MemoryTrimmer
from geoseg.learning.model_file import Model
from geoseg.networks.features.normalising import normalise
from geoseg.networks.models.rebuilding import rebuild_network
from geoseg.networks.prediction.folding import fold_batch_norms


class TorchPredictor:
    """A model on a device, giving class probabilities at full resolution.

    Args:
        model: The model.
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16"; the softmax is always float32.
    """

    def __init__(self, model: Model, device: str, precision: Literal["float32", "bf16"]) -> None:
        self._record = model.record
        self._free = MemoryTrimmer() if device == "cpu" else None
        self._device, self._is_bf16 = torch.device(device), precision == "bf16"
        folded = fold_batch_norms(rebuild_network(model.record.architecture, model.network.tensors))
        self._network = folded.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self._record.legend)

    @torch.inference_mode()
    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w), float32, of raw pixels (N, B, h, w)."""
        if self._free is not None:
            self._free.trim_on_new_shape(pixels.shape)
        inside = torch.from_numpy(valid).to(self._device)
        images = normalise(torch.from_numpy(pixels).to(self._device), inside, self._record.normalisation)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_bf16):
            logits = self._network(images.to(memory_format=torch.channels_last))
        full = functional.interpolate(logits.float(), pixels.shape[-2:], mode="bilinear", align_corners=False)
        return self._record.calibration.apply(full).softmax(dim=1).cpu().numpy()
