"""The prior of one raster: the classes' shares on it, estimated before it is mapped, on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.choices import draws_by_area
from geoseg.domain.mapping.prior_shift import PriorShiftedPredictor
from geoseg.domain.ports import Predictor, Progress
from geoseg.domain.windows import grid
from geoseg.errors import SettingsError
from geoseg.geodata.reading.rasters import Raster
from geoseg.learning.class_prior import estimate_shares, keep_classes, prior_shift
from geoseg.networks.models.model_file import ModelRecord

CELL_PX = 128
MOST_CELLS = 100
PIXELS_A_CELL = 100
LEAST_PIXELS = 2_000
_MIN_PROBABILITY = 1e-30
SEED = 0


def check_prior(record: ModelRecord, where: object) -> None:
    """Make sure that a model's prior can be exchanged.

    Raises:
        SettingsError: It keeps the odds of its points.
    """
    if record.calibration.shift is None or "point_shares" not in record.training.get("prior", {}):
        raise SettingsError(
            "this model keeps the odds of its points, so there is no prior to exchange",
            where=where,
            expected="a model trained with --prior em",
            hint="Leave out --prior raster.",
        )


def estimate_raster_prior(
    source: Raster, predictor: Predictor, record: ModelRecord, *, context_px: int, progress: Progress
) -> str:
    """Return the logarithms of the factors that a model's odds change by on a raster, apart by spaces.

    The shares come from random pixels of up to 100 cells of the raster, by the expectation maximisation and with the
    strength of the training. They hang on the raster as a whole, so a part of it mapped alone gets others.

    Args:
        source: The raster as the model takes it.
        predictor: The model, with the prior of its training.
        record: Its record.
        context_px: What it needs to see around a pixel.
        progress: Told what was found.
    """
    prior = record.training["prior"]
    point_shares, shift = np.array(prior["point_shares"]), np.array(record.calibration.shift)
    land = _land(source, predictor, context_px)
    if not len(land):
        progress.warn(f"{source.info.path.name} has no valid pixel; the prior of the training stays.")
        return " ".join("0" for _ in shift)
    undone = land * np.exp(-shift)
    undone /= undone.sum(axis=1, keepdims=True)
    # Models of earlier versions have no weight and no trust.
    shares = estimate_shares(undone, point_shares, point_weight=prior.get("point_weight", 0.0))
    trust = np.array(prior.get("trust", (shift != 0) * 1.0))
    new = prior_shift(point_shares, shares, trust=trust, strength=prior["strength"])
    new = keep_classes(new, np.log(np.maximum(undone, _MIN_PROBABILITY)))
    named = ", ".join(f"{n} {100 * s:.1f} %" for n, s in zip(record.legend.names, shares, strict=True))
    progress.say(f"Classes on {source.info.path.name}: {named}.")
    if not prior["strength"]:
        progress.warn(
            "The training found no gain in correcting class proportions, so --prior raster changes nothing."
        )
    return " ".join(f"{odds:.6f}" for odds in new - shift)


def with_raster_prior(predictor: Predictor, identity: Mapping[str, Any]) -> Predictor:
    """Return the predictor with the odds that the identity of a map names, if it names any."""
    odds = identity.get("odds")
    return (
        predictor
        if odds is None
        else PriorShiftedPredictor(predictor, [float(part) for part in odds.split()])
    )


def _land(source: Raster, predictor: Predictor, context_px: int) -> NDArray[np.float64]:
    """Return the probabilities of random valid pixels (U, C); every valid pixel is equally likely."""
    rng = np.random.default_rng(SEED)
    cells = list(grid(source.height, source.width, CELL_PX))
    chosen = np.sort(rng.choice(len(cells), min(MOST_CELLS, len(cells)), replace=False))
    area = sum(cells[k].height * cells[k].width for k in chosen)
    density = min(1.0, max(PIXELS_A_CELL / CELL_PX**2, LEAST_PIXELS / area))
    found = [np.zeros((0, predictor.classes))]
    for cell in (cells[k] for k in chosen):
        pixels, valid = source.read(cell.padded(context_px))
        core = np.s_[context_px : context_px + cell.height, context_px : context_px + cell.width]
        row, col = np.nonzero(valid[core])
        [count] = draws_by_area([len(row)], density, rng)
        if not count:
            continue
        taken = rng.choice(len(row), min(count, len(row)), replace=False)
        answer = predictor.probabilities(pixels[None], valid[None])[0][:, *core]
        found.append(answer[:, row[taken], col[taken]].T.astype(np.float64))
    return np.concatenate(found)
