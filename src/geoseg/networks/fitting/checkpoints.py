"""Checkpoints: the complete state of a fit between two epochs, as bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ModelFileError


@dataclass(frozen=True)
class Checkpoint:
    """State needed to resume a fit after ``epoch`` epochs with the same result."""

    epoch: int
    network: dict[str, Tensor]
    average: dict[str, object]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    best_epoch: int
    best_score: float
    best_state: dict[str, Tensor]
    history: list[dict[str, Any]]


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the checkpoint as bytes."""
    buffer = io.BytesIO()
    torch.save({f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}, buffer)
    return buffer.getvalue()


def unpack_checkpoint(content: bytes, where: object) -> Checkpoint:
    """Read a checkpoint without running code; ``where`` names it in errors.

    Raises:
        ModelFileError: The content is damaged or not a checkpoint.
    """
    try:
        return Checkpoint(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises many types of errors for damaged files
        raise ModelFileError(
            "this checkpoint cannot be read",
            where=where,
            got=type(error).__name__,
            hint="Delete it and train again without --resume.",
        ) from error
