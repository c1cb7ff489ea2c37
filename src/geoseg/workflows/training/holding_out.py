"""What users and the training record are told of the points that are held out."""

from __future__ import annotations

from typing import Any

from geoseg.domain.blocks import Blocks
from geoseg.domain.ports import Progress


def report_blocks(blocks: Blocks | None, progress: Progress) -> None:
    """Say by which blocks points are held out, and warn where the blocks are no places of their own."""
    if blocks is None:
        progress.warn(
            "No point is held out, because the points of each class lie in one place: the weights of the last epoch are "
            "kept, and confidence is not calibrated. Add points of each class in other places, or name a file with "
            "--check-points."
        )
    elif blocks.are_apart:
        progress.say(blocks.describe())
    else:
        progress.warn(blocks.describe())


def describe_blocks(blocks: Blocks | None) -> dict[str, Any]:
    """Return what the training record says of the blocks."""
    if blocks is None:
        return {}
    return {"held_out_blocks": {"side_px": blocks.block_px, "count": blocks.count}}
