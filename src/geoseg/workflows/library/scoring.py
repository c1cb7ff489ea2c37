"""Accuracy of a map as other code holds it: arrays, tables or files."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy, confusion_matrix
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.ports import Progress
from geoseg.domain.windows import Window
from geoseg.errors import SettingsError
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.geodata.outputs.class_maps import class_map_writer, read_class_map
from geoseg.geodata.reading.masks import read_mask
from geoseg.settings import EvaluateSettings
from geoseg.workflows.assessment.evaluate import RASTER_SUFFIXES, Evaluation
from geoseg.workflows.assessment.evaluate import evaluate as evaluate_file
from geoseg.workflows.library.legends import LegendLike, as_legend, class_ids, numbered_legend
from geoseg.workflows.library.point_files import point_file
from geoseg.workflows.library.rasters import RasterLike, is_data_array, raster_grid
from geoseg.workflows.library.wording import PythonProgress, library_call, python_words


@library_call
def evaluate(  # noqa: PLR0913 -- both sides may leave something open
    class_map: RasterLike,
    reference: Any,
    *,
    legend: LegendLike = None,
    ignore_index: int = UNLABELLED,
    class_column: str | None = None,
    role: Literal["all", "train", "check"] = "all",
    allow_training_points: bool = False,
    mask_values: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare a class map with a mask or with labelled points.

    Scores follow Congalton, "A review of assessing the accuracy of classifications of remotely sensed data" (1991). A
    labelled pixel or point that the map does not cover counts as an error. Points that the model of a map file learnt
    from are left out.

    Args:
        class_map: Class ids (rows, columns): a path, a NumPy array or a DataArray; 255 is no data.
        reference: A mask of the same shape (path, array or DataArray), or points: a file, a GeoDataFrame, a
            ``geoseg.Points``, a table with row, col and class, or an array (P, 3) of row, col and class.
        legend: Class names in the order of their ids; None: those that the map file names, else "0", "1" ...
        ignore_index: Value of arrays that stands for no class, in the map and in the mask.
        class_column: Column of the points that holds the class; None: the first with a usual name.
        role: Which points count: "all", "train" or "check".
        allow_training_points: Whether points that the model learnt from may be scored where there are no others.
        mask_values: Class names by the value that a mask file has for them.
        progress: Told of what may spoil the scores; None shows warnings.

    Returns:
        The scores; they print as a table. ``to_frame()`` gives a pandas table, ``miou``, ``overall_accuracy`` and
        ``confusion`` the numbers.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        LegendError: A side has a class that the legend lacks.
        RasterError: A map file and its mask file do not lie on the same grid.
        PointsError: No point can be used, or all are training points.

    Example:
        >>> import numpy
        >>> truth = numpy.array([[0, 0, 1, 1], [0, 0, 1, 255]])
        >>> found = numpy.array([[0, 0, 1, 1], [0, 1, 1, 1]])
        >>> scores = evaluate(found, truth, legend=["field", "water"])
        >>> scores
              IoU %  F1 % precision % recall % pixels
        field  75.0  85.7       100.0     75.0      4
        water  75.0  85.7        75.0    100.0      3
        mIoU 75.0 %, overall accuracy 85.7 %
        >>> scores.to_frame().loc["field", "recall"], scores.miou
        (np.float64(0.75), 0.75)
    """
    known = as_legend(legend)
    if _is_mask(reference, class_map) and not (_is_path(class_map) and _is_path(reference)):
        return _of_arrays(class_map, reference, known, ignore_index=ignore_index)
    with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)):
        folder = Path(name)
        if known is not None:
            write_legend(folder / "legend.json", known, False)
        is_mask = _is_mask(reference, class_map)
        settings = EvaluateSettings(
            subject=class_map
            if _is_path(class_map)
            else _map_file(class_map, folder, known, ignore_index=ignore_index),
            truth=reference if is_mask else None,
            points=None if is_mask else point_file(reference, folder, _names(class_map)),
            legend=None if known is None else folder / "legend.json",
            class_column=class_column,
            role=role,
            allow_training_points=allow_training_points,
            mask_values=None if mask_values is None else dict(mask_values),
        )
        return evaluate_file(settings, PythonProgress(progress))


def _is_path(value: object) -> bool:
    return isinstance(value, str | PathLike)


def _names(class_map: RasterLike) -> tuple[str, ...]:
    """Return the name that points may know an array by; those of a file are compared with its points later."""
    return () if _is_path(class_map) else ("map",)


def _is_mask(reference: Any, class_map: RasterLike) -> bool:
    """Return whether a reference is a mask; else it is points."""
    if _is_path(reference):
        return Path(reference).suffix.lower() in RASTER_SUFFIXES
    if is_data_array(reference):
        return True
    is_table = isinstance(reference, np.ndarray) and reference.ndim == 2 and reference.shape[1] == 3
    return isinstance(reference, np.ndarray) and not (
        is_table and (_is_path(class_map) or reference.shape != np.shape(class_map)[-2:])
    )


def _of_arrays(
    class_map: RasterLike, reference: RasterLike, legend: Legend | None, *, ignore_index: int
) -> Evaluation:
    """Compare a map with a mask; at least one of them is an array."""
    mapped, own = _ids(class_map, "class_map", None, ignore_index=ignore_index)
    legend = legend or own
    truth, other = _ids(reference, "reference", legend, ignore_index=ignore_index)
    legend = legend or other or numbered_legend(mapped, truth)
    if mapped.shape != truth.shape:
        raise SettingsError(
            "the map and the mask differ in shape", where="reference", expected=mapped.shape, got=truth.shape
        )
    scores = accuracy(confusion_matrix(truth, mapped, len(legend)))
    return Evaluation(scores, legend, {"map": scores})


def _ids(
    mask: RasterLike, name: str, legend: Legend | None, *, ignore_index: int
) -> tuple[NDArray[np.uint8], Legend | None]:
    """Return class ids (H, W), 255 where there is none, and the legend that a file names."""
    if not _is_path(mask):
        ids = class_ids(mask, name, ignore_index=ignore_index)
        return (ids[0] if ids.ndim == 3 and len(ids) == 1 else ids), None
    if legend is not None:
        return read_mask(Path(mask), legend), legend
    found, _, own = read_class_map(Path(mask))
    return found, own


def _map_file(class_map: RasterLike, folder: Path, legend: Legend | None, *, ignore_index: int) -> Path:
    """Write an array as a class map, to be compared with points."""
    ids, _ = _ids(class_map, "class_map", None, ignore_index=ignore_index)
    grid, path = raster_grid(class_map, "class_map"), folder / "map.tif"
    with class_map_writer(path, grid, legend or numbered_legend(ids), overwrite=True) as writer:
        writer.write(Window(0, 0, *ids.shape), ids)
    return path
