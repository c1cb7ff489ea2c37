"""Score a class map or a model against masks or points."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import Accuracy, accuracy, accuracy_record, confusion_matrix
from geoseg.domain.legend import UNLABELLED, Legend, ids_by_name
from geoseg.domain.ports import Progress, Silence
from geoseg.errors import LegendError, SettingsError
from geoseg.geodata.class_maps import read_class_map
from geoseg.geodata.datasets import legend_beside
from geoseg.geodata.file_kinds import PICTURE
from geoseg.geodata.grids import RasterInfo
from geoseg.geodata.legend_files import read_legend
from geoseg.geodata.masks import MaskReader, read_mask
from geoseg.geodata.outputs import check_apart, check_output
from geoseg.geodata.point_tables import read_point_table
from geoseg.settings import EvaluateSettings
from geoseg.workflows.check_points import pixels, read_check_points
from geoseg.workflows.faults import plain_faults
from geoseg.workflows.inputs import open_rasters, point_options, tell_of_masks

RASTER_SUFFIXES = {".tif", ".tiff", ".png", ".vrt", ".img"}


@dataclass(frozen=True)
class Evaluation:
    """Scores over everything compared, and of each image by name."""

    accuracy: Accuracy
    legend: Legend
    images: dict[str, Accuracy]

    def to_record(self) -> dict[str, Any]:
        """Return the scores as JSON values, with those of each image under ``images``."""
        names = self.legend.names
        return {
            **accuracy_record(self.accuracy, names),
            "images": {image: accuracy_record(scores, names) for image, scores in self.images.items()},
        }


@plain_faults
def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compare a class map with a mask or points, or a model with the masks or points of its rasters.

    One confusion matrix is summed over all images; truth 255 is not counted, a labelled pixel that
    the map leaves empty counts as missed.

    Raises:
        SettingsError: It is not said what to compare with.
        RasterError: A map and its mask do not lie on the same grid.
        LegendError: The legend lacks a class, or there is none.
        PointsError: No point can be used.
    """
    progress = progress or Silence()
    if settings.picture is not None:
        check_apart([settings.picture], [settings.subject, settings.data, settings.truth, settings.points])
        check_output(settings.picture, PICTURE, overwrite=settings.overwrite)
    is_map = settings.subject.suffix.lower() in RASTER_SUFFIXES
    legend, matrices = (_of_map if is_map else _of_model)(settings, progress)
    scores = {image: accuracy(matrix) for image, matrix in matrices.items()}
    total = accuracy(np.sum(list(matrices.values()), axis=0))
    if settings.picture is not None:
        _draw(total, legend, settings)
    return Evaluation(total, legend, scores)


def _draw(total: Accuracy, legend: Legend, settings: EvaluateSettings) -> None:
    # matplotlib is loaded only when a picture is asked for.
    from geoseg.pictures.matrix import confusion_figure
    from geoseg.workflows.pictures import write_picture

    assert settings.picture is not None
    figure = confusion_figure(total.confusion, legend, title=settings.subject.name)
    write_picture(figure, settings.picture, overwrite=settings.overwrite)


_Matrices = tuple[Legend, dict[str, NDArray[np.int64]]]


def _of_model(settings: EvaluateSettings, progress: Progress) -> _Matrices:
    # torch is loaded only when a model is scored.
    from geoseg.workflows.evaluate_model import compare_model

    return compare_model(settings, progress)


def _of_map(settings: EvaluateSettings, progress: Progress) -> _Matrices:
    given = read_legend(settings.legend) if settings.legend else None
    class_ids, info, own = read_class_map(settings.subject)
    legend = own or given
    if legend is None:
        raise LegendError(
            "this map names no classes", where=settings.subject, hint="Name a legend with --legend."
        )
    if own is None:
        class_ids = read_mask(settings.subject, legend)
    if settings.truth is not None:
        masks = MaskReader(legend, codes=given or legend_beside(settings.truth), values=settings.mask_values)
        truth = masks.read(settings.truth, info)
        tell_of_masks([masks], progress)
    elif settings.points is not None:
        truth = _truth_at_points(settings, info, given or legend, progress=progress)
        truth = ids_by_name(given or legend, legend, settings.legend)[truth]
    else:
        raise SettingsError(
            "there is nothing to compare the map with", expected="--truth MASK or --points FILE"
        )
    return legend, {settings.subject.stem: confusion_matrix(truth, class_ids, len(legend))}


def _truth_at_points(
    settings: EvaluateSettings, info: RasterInfo, legend: Legend, *, progress: Progress
) -> NDArray[np.uint8]:
    """Return class ids (H, W) at the points, 255 elsewhere."""
    with ExitStack() as stack:
        rasters = open_rasters(dict.fromkeys(_image_names(settings, info), info.path), (1,), stack)
        points = read_check_points(settings, rasters, legend, progress=progress)
    truth = np.full((info.height, info.width), UNLABELLED, np.uint8)
    rows, cols = pixels(points)
    truth[rows, cols] = points.class_id
    return truth


def _image_names(settings: EvaluateSettings, info: RasterInfo) -> list[str]:
    """Return the names that points may know a map by.

    Points name the raster that they were drawn on, not its map. Where the map has a CRS their places
    say which of them lie on it; else all must be of one raster.
    """
    assert settings.points is not None
    named = set(read_point_table(settings.points, point_options(settings)).texts("image").tolist()) - {""}
    own = settings.subject.stem
    if own in named or (info.crs is None and len(named) != 1):
        return [own]
    return sorted(named) or [own]
