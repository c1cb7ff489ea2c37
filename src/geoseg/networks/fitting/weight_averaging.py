"""Exponential moving average of a network's weights (Polyak & Juditsky, 1992)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn


class MovingAverage:
    """A copy of a network whose weights follow the original's.

    Args:
        network: The network to follow.
        memory: Decay in the long run, 0..1; 0 copies. Early on the memory is shorter, as in
            TensorFlow's ExponentialMovingAverage, so that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, memory: float) -> None:
        self.module = copy.deepcopy(network).requires_grad_(False).eval()
        self.memory = memory
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present weights and running statistics."""
        self.updates += 1
        decay = min(self.memory, self.updates / (self.updates + 9))
        pairs = zip(self.module.state_dict().values(), network.state_dict().values(), strict=True)
        averages, values = zip(*((a, v) for a, v in pairs if a.is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def state(self) -> dict[str, object]:
        """Return what :meth:`restore` needs."""
        return {"updates": self.updates, "weights": self.module.state_dict()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a state."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        self.module.load_state_dict(state["weights"])  # type: ignore[arg-type]
