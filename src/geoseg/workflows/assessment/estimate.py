"""Estimate accuracy and areas of a map from a labelled sample or from an error matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.estimation import Estimates, MapAccuracy, estimate_accuracy, estimate_overall
from geoseg.domain.assessment.expansion import Strata, StratifiedSample
from geoseg.domain.legend import UNLABELLED, Legend, legend_from_records
from geoseg.domain.ports import Progress, PythonWarnings, WarningRecorder
from geoseg.errors import PointsError
from geoseg.geodata.assessment.class_map_windows import ClassMap, open_class_map
from geoseg.geodata.assessment.error_matrices import read_error_matrix
from geoseg.geodata.assessment.sample_files import (
    MAP_CLASS,
    SampleFile,
    read_labels,
    read_sample,
    unlabelled_points,
)
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.class_maps import read_origin
from geoseg.geodata.outputs.file_kinds import ASSESSMENT_CSV, ASSESSMENT_PAGE
from geoseg.geodata.points.point_places import find_places
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.points.training_places import is_training_point
from geoseg.settings import AssessEstimateSettings
from geoseg.workflows.assessment.assessment import Agreement, Assessment, Responses
from geoseg.workflows.assessment.labelled_sample import (
    LabelledSample,
    Labels,
    match_labels,
    quote_ids,
    warn_of_moved_points,
)
from geoseg.workflows.library_errors import translate_library_errors

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_FEW = 5
"""Right or wrong pixels of a class below which the normal approximation of its interval is poor."""
_MATRIX_NOTE = "The matrix is read as a stratified random sample whose strata are the map classes."


@translate_library_errors
def assess_estimate(settings: AssessEstimateSettings, progress: Progress | None = None) -> Assessment:
    """Estimate overall, user's and producer's accuracy and the area of each class, with 95 % intervals.

    Raises:
        PointsError: The file cannot be read, a stratum has no label, or points were used for training.
        LegendError: A label is not a class of the sample.
        RasterError: The map cannot be read.
        OutputError: The table or the report exists or cannot be written.
    """
    recorder = WarningRecorder(progress or PythonWarnings())
    inputs = [settings.sample, settings.matrix, settings.map, settings.second_interpreter]
    for path, kind in ((settings.csv, ASSESSMENT_CSV), (settings.html, ASSESSMENT_PAGE)):
        if path is not None:
            check_apart([path], inputs)
            check_output(path, kind, overwrite=settings.overwrite)
    if settings.matrix is not None:
        found = _of_matrix(settings.matrix, settings.pixel_m2)
    else:
        found = _of_sample(settings, recorder)
    for note in found.notes:
        recorder.say(note)
    found = replace(found, warnings=tuple(recorder.warnings))
    if settings.csv is not None:
        from geoseg.workflows.assessment.assessment_tables import write_table

        write_table(settings.csv, found, overwrite=settings.overwrite)
    if settings.html is not None:
        from geoseg.workflows.assessment.assessment_page import write_page

        write_page(settings.html, found, overwrite=settings.overwrite)
    return found


def _of_matrix(path: Path, pixel_m2: float | None) -> Assessment:
    matrix = read_error_matrix(path)
    rows = np.flatnonzero(matrix.pixels)
    row, col = np.nonzero(matrix.counts[rows])
    count = matrix.counts[rows][row, col]
    area = pixel_m2 or 1.0
    strata = Strata(matrix.pixels[rows], matrix.pixels[rows] * area, matrix.map_class[rows])
    expansion = StratifiedSample(strata, row, count, np.full(len(row), area))
    mapped = matrix.map_class[rows][row]
    accuracy = estimate_accuracy(expansion, mapped, col, classes=len(matrix.legend), count=count)
    in_map = np.zeros(len(matrix.legend))
    in_map[matrix.map_class] = matrix.pixels * area
    single = [matrix.legend.names[matrix.map_class[rows[k]]] for k in np.flatnonzero(expansion.sampled == 1)]
    return Assessment(
        source=path.name,
        design="stratified",
        legend=matrix.legend,
        accuracy=accuracy,
        mapped_m2=in_map if pixel_m2 else None,
        is_in_m2=pixel_m2 is not None,
        notes=(_MATRIX_NOTE, *_result_notes(accuracy, matrix.legend, single)),
    )


def _of_sample(settings: AssessEstimateSettings, progress: Progress) -> Assessment:
    assert settings.sample is not None
    file = read_sample(settings.sample)
    labels = match_labels(file.labels, file, column=settings.reference_column, progress=progress)
    warn_of_moved_points(file, progress)
    if not labels.is_labelled.any():
        raise PointsError(
            "no point is labelled yet",
            where=settings.sample,
            expected=f"classes in the column {settings.reference_column!r}",
        )
    sample, file = _placed(settings, file, labels, progress=progress)
    classes, kept = len(file.legend), labels.is_labelled
    accuracy = _estimate(sample, kept, classes)
    sure = kept & ~labels.unsure
    notes = list(_response_notes(sample))
    without = None
    if (kept & labels.unsure).any():
        try:
            without = _estimate(sample, sure, classes)
        except PointsError:
            notes.append("Without the unsure labels, a stratum has no label, so there is no estimate.")
    single = _single(sample, kept)
    return Assessment(
        source=settings.sample.name,
        design=sample.design,
        legend=file.legend,
        accuracy=accuracy,
        mapped_m2=_mapped_m2(sample, settings.pixel_m2),
        is_in_m2=sample.is_in_m2,
        responses=_responses(sample),
        without_unsure=without,
        second=_second(settings, sample, progress),
        notes=(*notes, *_result_notes(accuracy, file.legend, single)),
    )


def _placed(
    settings: AssessEstimateSettings, file: SampleFile, labels: Labels, *, progress: Progress
) -> tuple[LabelledSample, SampleFile]:
    """Return the sample with its classes in the map, and its file with a legend that has all of them."""
    recorded = np.array([file.legend.id_of(name) for name in file.units[MAP_CLASS]], np.int64)
    mapped, has_own_map = recorded, True
    if settings.map is None:
        progress.say("Without the map (--map), nothing shows whether points of the sample trained it.")
    else:
        with open_class_map(settings.map, legend=file.legend, nodata=settings.nodata) as class_map:
            rows, cols = _pixels(file, class_map)
            _check_training(settings, file, labels, class_map=class_map, rows=rows, cols=cols)
            names, found = class_map.legend, class_map.classes_at(rows, cols)
        file, mapped = _in_legend(file, names or file.legend, found)
        has_own_map = bool((mapped == recorded).all())
        if not has_own_map:
            progress.warn(
                f"{settings.map.name} differs at {int((mapped != recorded).sum()):,} of {len(mapped):,} points from "
                "the map that the sample was drawn from. The given map is assessed; the strata stay those of the sample."
            )
    pixel_m2 = file.units["pixel_m2"].to_numpy(np.float64)
    strata_m2 = np.array([row.area_m2 for row in file.strata], np.float64)
    if settings.pixel_m2 is not None or not (np.isfinite(pixel_m2).all() and np.isfinite(strata_m2).all()):
        size = settings.pixel_m2 or 1.0
        pixel_m2 = np.full(len(pixel_m2), size)
        strata_m2 = size * np.array([row.pixels for row in file.strata], np.float64)
        is_in_m2 = settings.pixel_m2 is not None
    else:
        is_in_m2 = True
    sample = LabelledSample(
        file,
        labels,
        mapped,
        has_own_map,
        pixel_m2,
        strata_m2,
        is_in_m2,
        post_stratify=settings.post_stratify,
    )
    return sample, file


def _pixels(file: SampleFile, class_map: ClassMap) -> tuple[_Ints, _Ints]:
    """Return rows and columns of the drawn pixels on a map; -1 for a pixel outside it."""
    x, y = (file.units[name].to_numpy(np.float64) for name in ("x", "y"))
    name = class_map.info.path.stem
    table = PointTable(file.path, file.units.reset_index()[["id"]], (x, y), file.labels.crs)
    places = find_places(table, {name: class_map.info})
    row, col = (np.nan_to_num(np.floor(values + 0.5), nan=-1.0) for values in (places.row, places.col))
    return row.astype(np.int64), col.astype(np.int64)


def _check_training(
    settings: AssessEstimateSettings,
    file: SampleFile,
    labels: Labels,
    *,
    class_map: ClassMap,
    rows: _Ints,
    cols: _Ints,
) -> None:
    assert settings.map is not None
    _, places = read_origin(settings.map)
    if places is None or settings.allow_training_points:
        return
    name = class_map.info.path.stem
    asked = np.flatnonzero(labels.is_labelled & (rows >= 0))
    points = unlabelled_points(name, rows[asked], cols[asked])
    trained = is_training_point(points, places, {name: class_map.info}, rounding_m=0.0)
    if trained.any():
        ids = file.units.index.to_numpy()[asked[trained]]
        raise PointsError(
            "points of the sample were used to train the map, so the estimates would be too high",
            where=file.path,
            expected="points that were not used for training",
            got=f"{len(ids):,} training points (id {quote_ids(ids)})",
            hint="Draw a new sample, or use them all the same with --allow-training-points.",
        )


def _in_legend(file: SampleFile, names: Legend, found: NDArray[np.uint8]) -> tuple[SampleFile, _Ints]:
    """Return map classes (n,) as ids of the legend of the sample, which gets the classes that it lacks."""
    legend = file.legend
    records = [{**record, "value": None} for record in legend.to_records()]
    new = [one for one in names.classes if legend.find(one.name) is None]
    records += [
        {"id": len(legend) + k, "name": one.name, "color": one.color, "value": None}
        for k, one in enumerate(new)
    ]
    joined = legend_from_records(records) if new else legend
    table = np.full(UNLABELLED + 1, UNLABELLED, np.int64)
    table[: len(names)] = [k for one in names.classes if (k := joined.find(one.name)) is not None]
    return replace(file, legend=joined), table[found]


def _estimate(sample: LabelledSample, kept: NDArray[np.bool_], classes: int) -> MapAccuracy:
    reference = sample.labels.class_id[kept].astype(np.int64)
    return estimate_accuracy(sample.expand(kept), sample.mapped[kept], reference, classes=classes)


def _responses(sample: LabelledSample) -> Responses:
    labels, strata = sample.labels, sample.file.strata
    missing = ~labels.is_labelled
    by_stratum = np.bincount(sample.stratum[missing], minlength=len(strata))
    bounds = None
    if missing.any():
        everyone = np.full(len(missing), True)
        right = labels.is_labelled & (labels.class_id == sample.mapped)
        expansion = sample.expand(everyone)
        bounds = tuple(float(estimate_overall(expansion, r).estimate[0]) for r in (right, right | missing))
    return Responses(
        drawn=len(missing),
        labelled=int(labels.is_labelled.sum()),
        missing_by_stratum={row.name: int(n) for row, n in zip(strata, by_stratum, strict=True) if n},
        unsure=int((labels.unsure & labels.is_labelled).sum()),
        unmapped=int((labels.is_labelled & (sample.mapped >= len(sample.file.legend))).sum()),
        overall_bounds=None if bounds is None else (bounds[0], bounds[1]),
    )


def _second(settings: AssessEstimateSettings, sample: LabelledSample, progress: Progress) -> Agreement | None:
    if settings.second_interpreter is None:
        return None
    table = read_labels(settings.second_interpreter)
    other = match_labels(table, sample.file, column=settings.reference_column, progress=progress)
    first, classes = sample.labels, len(sample.file.legend)
    both = first.is_labelled & other.is_labelled
    if not both.any():
        raise PointsError("the interpreters labelled no point in common", where=settings.second_interpreter)
    pairs = first.class_id[both].astype(np.int64) * classes + other.class_id[both]
    is_same = first.class_id == other.class_id
    overall: Estimates | None = None
    try:
        expansion = sample.expand(other.is_labelled)
        right = other.class_id[other.is_labelled] == sample.mapped[other.is_labelled]
        overall = estimate_overall(expansion, right)
    except PointsError:
        progress.warn(
            "The second interpreter left a stratum out, so there is no accuracy by these labels alone."
        )
    return Agreement(
        source=settings.second_interpreter.name,
        both=int(both.sum()),
        agree=int((both & is_same).sum()),
        counts=np.bincount(pairs, minlength=classes**2).reshape(classes, classes),
        disagreements=tuple(int(k) for k in sample.file.units.index.to_numpy()[both & ~is_same]),
        overall=overall,
    )


def _mapped_m2(sample: LabelledSample, pixel_m2: float | None) -> _Floats | None:
    """Return the mapped area (C,) of each class; None if it is not known."""
    if not (sample.has_own_map and sample.is_in_m2):
        return None
    records: Mapping[str, Mapping[str, float]] = {
        one["name"]: one for one in sample.file.design["map_classes"]
    }
    areas = [records.get(name, {"pixels": 0, "m2": 0.0}) for name in sample.file.legend.names]
    return np.array([a["m2"] if pixel_m2 is None else pixel_m2 * a["pixels"] for a in areas], np.float64)


def _single(sample: LabelledSample, kept: NDArray[np.bool_]) -> list[str]:
    """Return the strata of a stratified sample with a single label, although they have more pixels."""
    if sample.design != "stratified":
        return []
    counts = np.bincount(sample.stratum[kept], minlength=len(sample.file.strata))
    return [row.name for row, n in zip(sample.file.strata, counts, strict=True) if n == 1 < row.pixels]


def _response_notes(sample: LabelledSample) -> list[str]:
    labels = sample.labels
    notes = []
    if missing := int((~labels.is_labelled).sum()):
        notes.append(
            f"{missing:,} of {len(labels.class_id):,} points have no label. They are taken to be like the labelled "
            "points of their stratum."
        )
    if unsure := int((labels.unsure & labels.is_labelled).sum()):
        notes.append(f"{unsure:,} labels are unsure. They are used; estimates without them are given too.")
    return notes


def _result_notes(accuracy: MapAccuracy, legend: Legend, single: list[str]) -> list[str]:
    notes = []
    if single:
        notes.append(
            f"Strata with a single label: {', '.join(single)}. Estimates that they are part of have no interval."
        )
    absent = [n for n, k in zip(legend.names, accuracy.counts.sum(axis=0), strict=True) if not k]
    if absent:
        notes.append(
            f"No sampled pixel has the reference class {', '.join(absent)}: no producer's accuracy, and no interval of "
            "the area."
        )
    wrong = accuracy.counts[:-1].sum(axis=1) - np.diag(accuracy.counts)
    sampled = accuracy.counts[:-1].sum(axis=1)
    few = [n for n, w, k in zip(legend.names, wrong, sampled, strict=True) if k and min(w, k - w) < _FEW]
    if few:
        notes.append(
            f"User's accuracy of {', '.join(few)}: fewer than {_FEW} sampled pixels are right or wrong, so the interval "
            "is too short."
        )
    omitted = accuracy.counts.sum(axis=0) - np.diag(accuracy.counts)
    rare = [
        n
        for n, w, k in zip(legend.names, omitted, accuracy.counts.sum(axis=0), strict=True)
        if k and min(w, k - w) < _FEW
    ]
    if rare:
        notes.append(
            f"Producer's accuracy and area of {', '.join(rare)}: fewer than {_FEW} sampled pixels are mapped right or as "
            "another class, so the intervals are too short."
        )
    unmapped = [n for n, k in zip(legend.names, accuracy.counts[:-1].sum(axis=1), strict=True) if not k]
    if unmapped:
        notes.append(f"No sampled pixel is mapped as {', '.join(unmapped)}: no user's accuracy.")
    return notes
