"""Features and logits of torch networks at points."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.learning.features.patches import BatchPoints
from geoseg.learning.features.reading import FitData, PointFeatures, Reader, read_features
from geoseg.networks.features.batches import points_to_tensors
from geoseg.networks.losses.point_sampling import read_at_points

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TorchExtractor:
    """Feature maps of a torch function, read at points and concatenated.

    Attributes:
        maps: Function from images (N, B, H, W) to feature maps (N, F_i, h_i, w_i).
        device: "cpu", "cuda" or "mps", where ``maps`` computes.
        is_bf16: Whether convolutions compute in bfloat16.
    """

    maps: Callable[[Tensor], Sequence[Tensor]]
    device: str = "cpu"
    is_bf16: bool = False

    @torch.inference_mode()
    def __call__(self, images: Floats, at: BatchPoints) -> Floats:
        """Return features (P, F) at points of normalised images (N, B, H, W)."""
        device = torch.device(self.device)
        points = points_to_tensors(at).to(device)
        taken = torch.from_numpy(np.ascontiguousarray(images)).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.is_bf16):
            found = [
                read_at_points(
                    layer, index=points.index, row=points.row, col=points.col, size=images.shape[-2:]
                )
                for layer in self.maps(taken)
            ]
        return torch.cat(found, dim=1).cpu().numpy()


def read_logits(
    network: nn.Module,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    is_bf16: bool = False,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read a network's logits (P, C) at the points, on its device; set it to evaluation mode."""
    device = next(network.parameters()).device.type
    network.eval()
    extract = TorchExtractor(lambda images: [network(images)], device, is_bf16)
    return read_features(extract, points, data, reader=reader, progress=progress)


def digest(network: nn.Module, *more: object) -> str:
    """Return a SHA-256 of a network's tensors and of everything else that its features depend on."""
    found = hashlib.sha256(repr(more).encode())
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
