"""Report on the held-out points, to users and in the training record."""

from __future__ import annotations

from typing import Any

from geoseg.domain.blocks import Blocks
from geoseg.domain.ports import Progress


def report_blocks(blocks: Blocks | None, progress: Progress) -> None:
    """Report the blocks of the held-out points, with a warning if the blocks are not separate places."""
    if blocks is None:
        progress.warn(
            "No point is held out, because the points of each class lie in one place. The model uses the weights of the "
            "last epoch, and its confidence is not calibrated. Add points of each class in other places, or give a "
            "file with --check-points."
        )
    elif blocks.are_independent:
        progress.say(blocks.describe())
    else:
        progress.warn(blocks.describe())


def describe_blocks(blocks: Blocks | None) -> dict[str, Any]:
    """Return the entry of the blocks for the training record."""
    if blocks is None:
        return {}
    return {"held_out_blocks": {"side_px": blocks.block_px, "count": blocks.count}}
