"""Abstention: pixels whose confidence is too low get a code of their own instead of a class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geoseg.domain.legend import UNLABELLED, UNSURE
from geoseg.domain.mapping.prediction import STEPS, Strip


def abstain(strip: Strip, least: float | None, code: int = UNSURE) -> Strip:
    """Return the strip with ``code`` where the confidence of a class is below ``least`` (0..1); None: unchanged."""
    if least is None:
        return strip
    is_unsure = (strip.class_ids != UNLABELLED) & (strip.confidence < round(least * STEPS))
    return replace(strip, class_ids=np.where(is_unsure, np.uint8(code), strip.class_ids))
