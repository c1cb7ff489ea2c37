"""The model of the page: refitted on all training points after a click."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy_intervals import score_blocks
from geoseg.domain.points import CHECK, TRAIN
from geoseg.errors import TrainingError
from geoseg.geodata.projects.label_pixels import label_pixels
from geoseg.geodata.projects.labels import Label
from geoseg.learning.live.cell_store import Place
from geoseg.learning.live.cells import CELL_PX, read_cell_at
from geoseg.learning.live.head import LiveHead, block_numbers, fit_live
from geoseg.learning.validation import Sample
from geoseg.workflows.labelling.features import FeatureReader
from geoseg.workflows.labelling.page_rasters import PageRaster
from geoseg.workflows.labelling.project import LabelProject

MIN_CHECK_POINTS = 30
"""With fewer check points, no accuracy is given."""
_BLOCK_PX = 128


@dataclass(frozen=True)
class FittedModel:
    """A fitted model of the page.

    Attributes:
        revision: Number of the fit; it grows.
        head: The classifier.
        points: Number of labels that it was fitted to.
        seconds: Time that the fit took.
        points_revision: Revision of the project whose points it was fitted to.
        message: What was left out; None for nothing.
    """

    revision: int
    head: LiveHead
    points: int
    seconds: float
    points_revision: int
    message: str | None

    def to_record(self) -> dict[str, Any]:
        """Return the form of the page."""
        return {
            "revision": self.revision,
            "points": self.points,
            "seconds": round(self.seconds, 3),
            "recipe": "live",
            "points_revision": self.points_revision,
            "message": self.message,
        }


@dataclass(frozen=True)
class LabelFeatures:
    """Features of the places of one label.

    Attributes:
        values: (n, F).
        places: Rows and columns (n, 2).
    """

    values: NDArray[np.float32]
    places: NDArray[np.float64]

    def at(self, place: NDArray[np.float64]) -> LabelFeatures:
        """Return the part at one place; empty if the raster is invalid there."""
        own = np.flatnonzero((self.places == place).all(axis=1))[:1]
        return LabelFeatures(self.values[own], self.places[own])


class LiveModel:
    """The model of a project that follows its points.

    Args:
        project: The project.
        reader: The features.
    """

    def __init__(self, project: LabelProject, reader: FeatureReader) -> None:
        self._project, self._reader = project, reader
        self._lock = threading.Lock()
        self._features = dict[tuple[str, bytes, str], LabelFeatures]()
        self._fits = 0
        self.fitted: FittedModel | None = None

    def update(self) -> FittedModel:
        """Fit to all training points whose features are there.

        Raises:
            TrainingError: They have fewer than two classes.
        """
        with self._lock:
            return self._update()

    def want_cells(self) -> None:
        """Ask the reader for the cells of all points."""
        _, labels, _ = self._project.labels()
        self._reader.want(self._cells(labels))

    def _update(self) -> FittedModel:
        began = time.monotonic()
        revision, labels, classes = self._project.labels()
        known = {one.id for one in classes}
        usable = [one for one in labels if one.role == TRAIN and not one.is_unsure and one.class_id in known]
        found, images = self.features_of(usable)
        used = [(label, found[label.id], images[label.id]) for label in usable if label.id in found]
        waiting = sum(label.id not in images for label in usable)
        names = {one.id: one.name for one in classes}
        if len({label.class_id for label, *_ in used}) < 2:
            raise _too_few(used, names, waiting)
        sample = _stacked(used)
        before = None if self.fitted is None else self.fitted.head
        head = fit_live(sample, before=before)
        self._fits += 1
        present = {label.id for label in labels}
        self._features = {key: one for key, one in self._features.items() if key[0] in present}
        message = _describe_left_out(len(usable) - len(used) - waiting, waiting)
        self.fitted = FittedModel(self._fits, head, len(used), time.monotonic() - began, revision, message)
        return self.fitted

    def features_of(self, labels: Sequence[Label]) -> tuple[dict[str, LabelFeatures], dict[str, int]]:
        """Return features of labels by id, and the number of the raster of each label whose cell is read.

        A label on nodata, or outside all rasters, has a raster number but no features.
        """
        found, images = dict[str, LabelFeatures](), dict[str, int]()
        missing = defaultdict[tuple[str, Place], list[tuple[Label, NDArray[np.float64]]]](list)
        numbers = {key: n for n, key in enumerate(self._project.rasters)}
        for label in labels:
            raster = self._raster_of(label)
            if raster is None:
                images[label.id] = 0
                continue
            key = (label.id, label.geometry.wkb, raster.id)
            if key in self._features:
                found[label.id], images[label.id] = self._features[key], numbers[raster.id]
                continue
            places = label_pixels(label, raster.info)
            if not len(places):
                images[label.id] = 0
                continue
            cell = tuple((places[0] // CELL_PX).astype(int).tolist())
            missing[raster.id, cell].append((label, places))
        for (raster_id, _), own in missing.items():
            # The points of a cell are read together; a line or polygon may touch several cells.
            points = [one for one in own if len(one[1]) == 1]
            groups = [[one] for one in own if len(one[1]) > 1] + ([points] if points else [])
            for group in groups:
                read = self._read(raster_id, np.concatenate([places for _, places in group]))
                if read is None:
                    continue
                for label, places in group:
                    images[label.id] = numbers[raster_id]
                    mine = read if len(group) == 1 else read.at(places[0])
                    if len(mine.values):
                        found[label.id] = self._features[label.id, label.geometry.wkb, raster_id] = mine
        return found, images

    def accuracy(self) -> dict[str, Any] | None:
        """Return the accuracy at check points, or why there is none; None without a model."""
        model = self.fitted
        if model is None:
            return None
        _, labels, classes = self._project.labels()
        ids = [one.id for one in classes]
        checks = [one for one in labels if one.role == CHECK and not one.is_unsure and one.class_id in ids]
        found, images = self.features_of(checks)
        used = [(label, found[label.id], images[label.id]) for label in checks if label.id in found]
        record: dict[str, Any] = {
            "points": len(used),
            "overall": None,
            "basis": "check points, which no model has learnt from",
            "message": None,
            "classes": [],
        }
        if len(used) < MIN_CHECK_POINTS:
            text = "Answer suggestions that are drawn at random, or import check points."
            record["message"] = (
                f"too few points to say: {len(used)} of {MIN_CHECK_POINTS} check points. {text}"
            )
            return record
        sample = _stacked(used)
        predicted = np.array(model.head.classes)[
            model.head.probe.scores(sample.values.astype(np.float32)).argmax(axis=1)
        ]
        where = {own: n for n, own in enumerate(ids)}
        matrices = np.zeros((sample.places.max() + 1, len(ids), len(ids)))
        rows = np.array([where[one] for one in sample.labels.tolist()])
        cols = np.array([where.get(one, 0) for one in predicted.tolist()])
        np.add.at(matrices, (sample.places, rows, cols), sample.weights)
        scores = score_blocks(matrices).to_record([str(own) for own in ids])
        record["overall"] = _estimate(scores["overall_accuracy"])
        record["classes"] = [
            {
                "id": own,
                "users": _estimate(scores["users"][str(own)]),
                "producers": _estimate(scores["producers"][str(own)]),
            }
            for own in ids
        ]
        return record

    def _raster_of(self, label: Label) -> PageRaster | None:
        named = self._project.rasters_by_name
        if label.image in named:
            return named[label.image]
        return next((one for one in named.values() if len(label_pixels(label, one.info))), None)

    def _read(self, raster_id: str, places: NDArray[np.float64]) -> LabelFeatures | None:
        """Read the features of a label's places; None if a cell is not read, no rows where all are invalid."""
        store, strides = self._reader.stores[raster_id], self._reader.extractor.strides
        values, kept = [], []
        for cell in sorted({tuple(one) for one in (places // CELL_PX).astype(int).tolist()}):
            stored = store.get((cell[0], cell[1]))
            if stored is None:
                return None
            own = places[((places // CELL_PX).astype(int) == cell).all(axis=1)]
            inside = own - np.array(cell) * CELL_PX
            pixel = np.minimum(inside.astype(int), CELL_PX - 1)
            is_valid = stored.valid[pixel[:, 0], pixel[:, 1]]
            values.append(read_cell_at(stored, strides, rows=inside[is_valid, 0], cols=inside[is_valid, 1]))
            kept.append(own[is_valid])
        return LabelFeatures(np.concatenate(values), np.concatenate(kept))

    def _cells(self, labels: Sequence[Label]) -> Mapping[str, list[Place]]:
        found = defaultdict[str, dict[Place, None]](dict)
        for label in labels:
            raster = self._raster_of(label)
            if raster is None or (label.id, label.geometry.wkb, raster.id) in self._features:
                continue
            for row, col in (label_pixels(label, raster.info) // CELL_PX).astype(int).tolist():
                found[raster.id][row, col] = None
        return {key: list(cells) for key, cells in found.items()}


Used = tuple[Label, LabelFeatures, int]


def _stacked(used: Sequence[Used]) -> Sample:
    """Return the places of labels as a sample; those of one label weigh 1 together."""
    counts = [len(features.values) for _, features, _ in used]
    places = np.concatenate([features.places for _, features, _ in used])
    images = np.repeat([image for *_, image in used], counts).astype(np.int64)
    return Sample(
        np.concatenate([features.values for _, features, _ in used]),
        np.repeat([label.class_id or 0 for label, *_ in used], counts).astype(np.int64),
        np.repeat(1 / np.array(counts, np.float64), counts),
        block_numbers(places[:, 0], places[:, 1], images, side_px=_BLOCK_PX),
    )


def _too_few(used: Sequence[Used], names: Mapping[int, str], waiting: int) -> TrainingError:
    have = sorted({names[label.class_id or 0] for label, *_ in used})
    wait = f", and {waiting} points whose features are being read" if waiting else ""
    return TrainingError(
        "a map needs points of two classes",
        got=(f"points of {', '.join(have)}" if have else "no usable point") + wait,
        hint="Wait until the features of this view are read."
        if waiting
        else "Click points of another class.",
    )


def _describe_left_out(invalid: int, waiting: int) -> str | None:
    parts = [
        *([f"{waiting} points wait for their features"] if waiting else []),
        *([f"{invalid} points lie on nodata or outside the rasters"] if invalid else []),
    ]
    return f"{'; '.join(parts)}." if parts else None


def _estimate(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return estimate, low and high of a score, as fractions; None where it is undefined."""
    value, bounds = record.get("estimate"), record.get("interval")
    if value is None:
        return None
    low, high = bounds if bounds else (None, None)
    return {"estimate": value, "low": low, "high": high}
