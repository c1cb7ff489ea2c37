"""Exponential moving average of a network's weights (Polyak & Juditsky, 1992)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn


class MovingAverage:
    """A copy of a network whose weights are moving averages of the original's.

    Args:
        network: The network to average.
        decay: Final decay, 0..1; 0 copies the weights. The first updates use a smaller decay, as in TensorFlow's
            ExponentialMovingAverage, so that the initial weights lose influence soon.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Update the average with the network's current weights and running statistics."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        pairs = zip(self.module.state_dict().values(), network.state_dict().values(), strict=True)
        averages, values = zip(*((a, v) for a, v in pairs if a.is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def state(self) -> dict[str, object]:
        """Return the state for :meth:`restore`."""
        return {"updates": self.updates, "weights": self.module.state_dict()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a state."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        self.module.load_state_dict(state["weights"])  # type: ignore[arg-type]
