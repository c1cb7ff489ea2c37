"""A torch network as scripts call it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from geoseg.learning.model_file import Model
from geoseg.networks.models.rebuilding import rebuild_network


class PlainNetwork:
    """The network of a model in float32, channels first, no autocast, with every batch norm."""

    def __init__(self, model: Model, device: str) -> None:
        self.classes = len(model.record.legend)
        self._normalisation, self._device = model.record.normalisation, torch.device(device)
        self._network = rebuild_network(model.record.architecture, model.network.tensors).to(self._device)

    @torch.no_grad()
    def probabilities(self, pixels: np.ndarray, _valid: np.ndarray) -> np.ndarray:
        """Predict."""
        images = torch.from_numpy(pixels).to(self._device)
        mean, deviation = (
            images.new_tensor(values)[:, None, None]
            for values in (self._normalisation.mean, self._normalisation.deviation)
        )
        logits = self._network((images - mean) / deviation)
        full = functional.interpolate(logits.float(), pixels.shape[-2:], mode="bilinear", align_corners=False)
        return full.softmax(dim=1).cpu().numpy()
