"""The points that a map or a model is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.errors import PointsError
from geoseg.settings import EvaluateSettings
from geoseg.workflows.inputs import Rasters, point_options, read_usable_points


def read_check_points(
    settings: EvaluateSettings, rasters: Rasters, legend: Legend, *, progress: Progress
) -> Points:
    """Read the points to compare with, those of the role that counts.

    Raises:
        PointsError: The file cannot be read, or none of its points can be used.
        LegendError: The points have a class that the legend lacks.
    """
    assert settings.points is not None
    points, _ = read_usable_points(
        settings.points,
        rasters,
        legend=legend,
        options=point_options(settings),
        progress=progress,
    )
    chosen = points if settings.role == "all" else points.with_role(settings.role)
    if not len(chosen):
        raise PointsError(f"no point has the role {settings.role!r}", where=settings.points)
    return chosen


def pixels(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the pixel that each point lies in."""
    rows = np.floor(points.row + 0.5).astype(np.intp)
    return rows, np.floor(points.col + 0.5).astype(np.intp)
