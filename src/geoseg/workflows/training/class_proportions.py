"""Read class proportions from the option --prior, or count them in a random sample of points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.domain.ports import Progress
from geoseg.errors import SettingsError
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import Rasters, point_options, read_usable_points


def given_proportions(
    settings: TrainSettings, rasters: Rasters, legend: Legend, *, progress: Progress
) -> NDArray[np.float64] | None:
    """Return class proportions (C,) that sum to 1, or None if they are estimated or not used.

    Raises:
        SettingsError: The proportions are invalid, or their classes differ from the legend.
        PointsError: The file of the random sample cannot be read.
    """
    if settings.prior in ("em", "none"):
        return None
    path = Path(settings.prior)
    if path.is_file() or "=" not in settings.prior:
        options = replace(point_options(settings), layer=None)
        sample = read_usable_points(path, rasters, legend=legend, options=options, progress=progress)
        return normalise(sample.points.counts(len(legend)))
    parts = [part.partition("=") for part in settings.prior.split(",")]
    given = {name.strip(): _number(text) for name, _, text in parts}
    if given.keys() != set(legend.names) or min(given.values()) < 0 or sum(given.values()) <= 0:
        raise SettingsError(
            "invalid class proportions",
            where="--prior",
            expected=f"a proportion for each class, such as {','.join(f'{n}=0.2' for n in legend.names)}",
            got=settings.prior,
        )
    return normalise(np.array([given[name] for name in legend.names]))


def normalise(amounts: NDArray[Any]) -> NDArray[np.float64]:
    """Divide amounts by their sum."""
    shares: NDArray[np.float64] = amounts / amounts.sum()
    return shares


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if np.isfinite(value) else -1.0
