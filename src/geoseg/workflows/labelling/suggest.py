"""Suggest the next places to label in a project."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Progress
from geoseg.domain.suggestions import cover, question
from geoseg.domain.windows import Window
from geoseg.errors import TrainingError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.learning.live.cell_maps import softmax
from geoseg.learning.live.cells import CELL_PX, COARSE_STRIDE
from geoseg.settings.labelling import SuggestSettings
from geoseg.workflows.labelling.features import cells_of
from geoseg.workflows.labelling.live_model import FittedModel
from geoseg.workflows.labelling.page_rasters import PageRaster
from geoseg.workflows.labelling.project import LabelProject
from geoseg.workflows.labelling.project_files import open_project
from geoseg.workflows.labelling.session import LabelSession

RANDOM_SHARE = 0.2
"""Share of suggestions that are drawn uniformly, to check the map."""
POINTS_PER_CLASS = 8
"""With fewer points per class than this, suggestions cover the features; with more, they question the model."""
SPACING_PX = 96.0
_MAX_CANDIDATES, _MAX_CELLS = 4_000, 400
_TRIES = 50
_COMMAND_CELLS = 36


@dataclass(frozen=True)
class _Candidates:
    """Squares of 16 px that may be suggested: features (N, F) and the row and column of a pixel in each (N, 2)."""

    features: NDArray[np.float32]
    positions: NDArray[np.float64]


def suggest(
    session: LabelSession,
    raster_id: str,
    extent: Sequence[float] | None,
    *,
    count: int,
    seed: int | None = None,
) -> dict[str, Any]:
    """Suggest places to label next, in an extent of a raster or in all of it.

    A fifth is drawn uniformly from all valid pixels, for checking. The others come from the part whose features are
    read, one for each square of 16 px.

    Args:
        session: The open project.
        raster_id: The raster.
        extent: Part of the raster, in the coordinates of the page; None takes all.
        count: Number of places.
        seed: Seed of the draw; None draws anew each time.
    """
    raster = session.project.raster(raster_id)
    window = (
        Window(0, 0, raster.info.height, raster.info.width) if extent is None else raster.window_of(extent)
    )
    rng = np.random.default_rng(seed)
    drawn = round(count * RANDOM_SHARE + (rng.random() - 0.5) * (count * RANDOM_SHARE < 1))
    candidates = _candidates(session, raster, window, rng=rng)
    labelled = _labelled(session, raster)
    chosen, reason, probabilities = _choose(
        session, candidates, labelled, count - drawn, int(rng.integers(2**31))
    )
    random = _random_pixels(raster, window, drawn, rng=rng)
    model = session.model.fitted
    found = [
        _record(
            raster,
            candidates.positions[k],
            reason,
            model,
            None if probabilities is None else probabilities[k],
        )
        for k in chosen
    ]
    found += [_record(raster, place, "random", None, None) for place in random]
    message = None
    if not len(candidates.features):
        message = "The features of this area are being read; only random places can be suggested until then."
    elif len(found) < count:
        message = f"Only {len(found)} places are far enough from those that are labelled."
    return {"suggestions": found, "message": message}


def suggest_places(settings: SuggestSettings, progress: Progress) -> dict[str, Any]:
    """Suggest places for a project from the terminal; write them as GeoJSON if an output is given.

    Features are read in cells around the points and in at most 36 others.

    Raises:
        SettingsError: The folder holds no project, or the project has no such raster.
        OutputError: The output cannot be written.
    """
    session = LabelSession(LabelProject(open_project(settings.folder)))
    try:
        raster = session.project.raster(settings.raster or next(iter(session.project.rasters)))
        _read_some(session, raster, progress)
        try:
            session.model.update()
        except TrainingError:
            progress.say("Too few points for a model: places are chosen to cover the raster.")
        found = suggest(session, raster.id, None, count=settings.count, seed=settings.seed)
    finally:
        session.close()
    if settings.output is not None:
        write_json(settings.output, _geojson(found["suggestions"], raster), overwrite=settings.overwrite)
    return {"raster": str(raster.path), **found}


def _read_some(session: LabelSession, raster: PageRaster, progress: Progress) -> None:
    """Read the cells of the points, and random others."""
    session.model.want_cells()
    reader = session.reader
    whole = cells_of(Window(0, 0, raster.info.height, raster.info.width))
    rng = np.random.default_rng(0)
    others = [whole[k] for k in rng.permutation(len(whole))[:_COMMAND_CELLS]]
    wanted = [*reader.wanted(raster.id), *others]
    left = [cell for cell in dict.fromkeys(wanted) if not reader.stores[raster.id].has_full(cell)]
    progress.start("Reading features", len(left))
    for cell in left:
        reader.read_cell(raster.id, cell)
        progress.advance()


def _geojson(suggestions: Sequence[dict[str, Any]], raster: PageRaster) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [one["x"], one["y"]]},
            "properties": {key: one[key] for key in ("id", "reason", "class_id", "confidence")},
        }
        for one in suggestions
    ]
    code = (raster.frame.crs or {}).get("code")
    crs = {"crs": {"type": "name", "properties": {"name": code}}} if code else {}
    return {"type": "FeatureCollection", **crs, "features": features}


def _candidates(
    session: LabelSession, raster: PageRaster, window: Window, *, rng: np.random.Generator
) -> _Candidates:
    """Return squares of the window whose features are read, one random pixel in each."""
    store = session.reader.stores[raster.id]
    cells = [cell for cell in cells_of(window) if store.has(cell)]
    features, positions = list[NDArray[np.float32]](), list[NDArray[np.float64]]()
    for cell in (cells[k] for k in rng.permutation(len(cells))[:_MAX_CELLS]):
        stored = store.get_coarse(cell)
        if stored is None:
            continue
        rows, cols = np.nonzero(stored[1])
        offsets = rng.integers(COARSE_STRIDE, size=(len(rows), 2))
        place = np.array(cell) * CELL_PX + np.stack([rows, cols], axis=1) * COARSE_STRIDE + offsets
        first, last = (window.row, window.col), (window.row + window.height, window.col + window.width)
        inside = ((place >= first) & (place < last)).all(axis=1)
        most = max(1, _MAX_CANDIDATES // max(1, min(len(cells), _MAX_CELLS)))
        kept = rng.permutation(np.flatnonzero(inside))[:most]
        features.append(stored[0][:, 1:-1, 1:-1][:, rows[kept], cols[kept]].T.astype(np.float32))
        positions.append(place[kept] + 0.5)
    if not features:
        return _Candidates(np.zeros((0, sum(session.reader.extractor.counts)), np.float32), np.zeros((0, 2)))
    return _Candidates(np.concatenate(features), np.concatenate(positions))


def _labelled(session: LabelSession, raster: PageRaster) -> _Candidates:
    """Return features and positions of the labels on a raster."""
    _, labels, _ = session.project.labels()
    number = list(session.project.rasters).index(raster.id)
    found, images = session.model.features_of(labels)
    own = [found[label.id] for label in labels if label.id in found and images[label.id] == number]
    if not own:
        return _Candidates(np.zeros((0, sum(session.reader.extractor.counts)), np.float32), np.zeros((0, 2)))
    return _Candidates(
        np.concatenate([one.values for one in own]), np.concatenate([one.places for one in own])
    )


def _choose(  # noqa: PLR0917
    session: LabelSession, candidates: _Candidates, labelled: _Candidates, count: int, seed: int
) -> tuple[NDArray[np.intp], str, NDArray[np.float32] | None]:
    model = session.model.fitted
    if not len(candidates.features):
        return np.zeros(0, np.intp), "coverage", None
    probabilities = None
    if model is not None:
        scores = model.head.probe.scores(candidates.features)
        probabilities = softmax(scores.T, model.head.temperature).T
    if model is None or probabilities is None or model.points < POINTS_PER_CLASS * len(model.head.classes):
        known = labelled.features, labelled.positions
        chosen = cover(candidates.features, candidates.positions, known=known, count=count, seed=seed)
        return chosen, "coverage", probabilities
    counts = {one.id: one.points for one in session.project.classes()}
    chosen = question(
        probabilities,
        candidates.positions,
        known=labelled.positions,
        class_counts=np.array([counts.get(own, 0) for own in model.head.classes]),
        count=count,
        spacing_px=SPACING_PX,
    )
    return chosen, "uncertain", probabilities


def _random_pixels(
    raster: PageRaster, window: Window, count: int, *, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Draw valid pixels of a window, all equally likely."""
    found = list[NDArray[np.float64]]()
    for _ in range(_TRIES * count):
        if len(found) == count or not window.height or not window.width:
            break
        row = window.row + int(rng.integers(window.height))
        col = window.col + int(rng.integers(window.width))
        values = raster.pixel(row, col)
        if values is not None and any(one["value"] is not None for one in values):
            found.append(np.array([row + 0.5, col + 0.5]))
    return found


def _record(  # noqa: PLR0917
    raster: PageRaster,
    place: NDArray[np.float64],
    reason: str,
    model: FittedModel | None,
    probabilities: NDArray[np.float32] | None,
) -> dict[str, Any]:
    x, y = raster.frame.to_xy(float(place[0]), float(place[1]))
    best = None if probabilities is None or model is None else int(probabilities.argmax())
    return {
        "id": str(uuid.uuid4()),
        "x": x,
        "y": y,
        "reason": reason,
        "class_id": None if best is None or model is None else model.head.classes[best],
        "confidence": None if best is None or probabilities is None else round(float(probabilities[best]), 4),
    }
