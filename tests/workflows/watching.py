"""What tests of the verbs share: somebody who listens, and how models are compared."""

from __future__ import annotations

import torch
from safetensors.torch import load


class Watcher:
    """Progress that remembers what was said."""

    def __init__(self):
        self.said = []

    def start(self, what, total):
        pass

    def advance(self, steps=1, note=""):
        pass

    def say(self, text):
        self.said.append(text)

    warn = say


def assert_same_weights(one, other):
    """Fail unless two model files hold the same tensors, bit for bit."""
    states = [load(model.read_bytes()) for model in (one, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
