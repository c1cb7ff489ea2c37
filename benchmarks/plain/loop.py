"""The loop over windows that users write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from geoseg.domain.ports import Predictor

WINDOW_PX = 512


def map_in_memory(raster: Path, predictor: Predictor) -> None:
    """Predict as scripts do: all pixels in memory, all scores in memory, half of every window thrown away."""
    with rasterio.open(raster) as dataset:
        pixels = dataset.read().astype(np.float32)
        profile = {**dataset.profile, "count": 1}
    height, width = pixels.shape[1:]
    scores = np.zeros((predictor.classes, height, width))
    times = np.zeros((height, width))
    step = WINDOW_PX // 2
    for top in [*range(0, height - WINDOW_PX, step), height - WINDOW_PX]:
        for left in [*range(0, width - WINDOW_PX, step), width - WINDOW_PX]:
            box = np.s_[top : top + WINDOW_PX, left : left + WINDOW_PX]
            window = pixels[:, *box][None]
            scores[:, *box] += predictor.probabilities(window, np.ones((1, WINDOW_PX, WINDOW_PX), bool))[0]
            times[box] += 1
    class_ids = (scores / times).argmax(axis=0).astype(np.uint8)
    with rasterio.open(raster.with_name("plain.tif"), "w", **profile) as dataset:
        dataset.write(class_ids, 1)
