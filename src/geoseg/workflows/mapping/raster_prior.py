"""Estimate the class prior of a single raster before it is mapped (--prior raster)."""

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
from geoseg.learning.class_prior import estimate_shares, prevent_vanishing_classes, prior_shift
from geoseg.learning.model_record import ModelRecord

CELL_PX = 128
MAX_CELLS = 100
PIXELS_PER_CELL = 100
MIN_PIXELS = 2_000
_MIN_PROBABILITY = 1e-30
SEED = 0


def check_prior(record: ModelRecord, where: object) -> None:
    """Check that the class prior of a model can be replaced.

    Raises:
        SettingsError: The model was trained without prior correction.
    """
    if record.calibration.shift is None or "point_shares" not in record.training.get("prior", {}):
        raise SettingsError(
            "this model was trained without prior correction, so its prior cannot be replaced",
            where=where,
            expected="a model trained with --prior em",
            hint="Leave out --prior raster.",
        )


def estimate_raster_prior(
    source: Raster, predictor: Predictor, record: ModelRecord, *, context_px: int, progress: Progress
) -> str:
    """Return the log odds correction of each class for a raster, separated by spaces.

    The class proportions are estimated by expectation maximisation on random pixels of up to 100 cells, with the
    strength from the training. They depend on the whole raster; a part of it, mapped alone, gets other values.

    Args:
        source: The raster, opened with the bands and resolution of the model.
        predictor: The model, with the prior of its training.
        record: The record of the model.
        context_px: Context of the model around a pixel.
        progress: Receives the estimated proportions.
    """
    prior = record.training["prior"]
    point_shares, shift = np.array(prior["point_shares"]), np.array(record.calibration.shift)
    probabilities = _sample_probabilities(source, predictor, context_px)
    if not len(probabilities):
        progress.warn(f"{source.info.path.name} has no valid pixel; the prior of the training is used.")
        return " ".join("0" for _ in shift)
    undone = probabilities * np.exp(-shift)
    undone /= undone.sum(axis=1, keepdims=True)
    # Models of earlier versions have no point_weight and no trust.
    shares = estimate_shares(undone, point_shares, point_weight=prior.get("point_weight", 0.0))
    trust = np.array(prior.get("trust", (shift != 0) * 1.0))
    new = prior_shift(point_shares, shares, trust=trust, strength=prior["strength"])
    new = prevent_vanishing_classes(new, np.log(np.maximum(undone, _MIN_PROBABILITY)))
    named = ", ".join(f"{n} {100 * s:.1f} %" for n, s in zip(record.legend.names, shares, strict=True))
    progress.say(f"Classes on {source.info.path.name}: {named}.")
    if not prior["strength"]:
        progress.warn(
            "The correction of class proportions did not improve the training, so --prior raster has no effect."
        )
    return " ".join(f"{odds:.6f}" for odds in new - shift)


def with_raster_prior(predictor: Predictor, identity: Mapping[str, Any]) -> Predictor:
    """Return the predictor with the odds correction in the identity of a map, if there is one."""
    odds = identity.get("odds")
    return (
        predictor
        if odds is None
        else PriorShiftedPredictor(predictor, [float(part) for part in odds.split()])
    )


def _sample_probabilities(source: Raster, predictor: Predictor, context_px: int) -> NDArray[np.float64]:
    """Return the class probabilities (U, C) of U random valid pixels, drawn with equal probability."""
    rng = np.random.default_rng(SEED)
    cells = list(grid(source.height, source.width, CELL_PX))
    chosen = np.sort(rng.choice(len(cells), min(MAX_CELLS, len(cells)), replace=False))
    area = sum(cells[k].height * cells[k].width for k in chosen)
    density = min(1.0, max(PIXELS_PER_CELL / CELL_PX**2, MIN_PIXELS / area))
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
