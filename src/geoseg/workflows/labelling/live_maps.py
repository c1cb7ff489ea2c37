"""Maps of the page by its live model: tiles, areas and single pixels, from features that are read already."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.windows import Window
from geoseg.inference.threads import cpu_threads
from geoseg.learning.live.cell_maps import COARSE_STEP, cell_logits, coarse_logits, softmax
from geoseg.learning.live.cell_store import OVERVIEW_VALUES, Place
from geoseg.learning.live.cells import CELL_PX, COARSE_STRIDE, read_cell_at
from geoseg.workflows.labelling.features import FeatureReader, cells_of
from geoseg.workflows.labelling.live_model import FittedModel
from geoseg.workflows.labelling.page_rasters import PageRaster

OVERVIEW_STEP = 32
"""From this step on, maps come from means in squares of 64 px."""
VIEW_PX = (1_280, 800)
"""Width and height of the view that the page is made for."""
_MAX_MAPS = 2_048
Ids = NDArray[np.uint8]


@dataclass(frozen=True)
class MapPart:
    """A map of a part of a raster.

    Attributes:
        index: Position of the class in the model (h, w); 255 where there is none.
        confidence: Probability of this class in steps of 1/254 (h, w).
        is_read: Whether the features are there (h, w).
    """

    index: Ids
    confidence: Ids
    is_read: NDArray[np.bool_]


class LiveMaps:
    """Maps of rasters by the live model.

    Args:
        reader: The features.
    """

    def __init__(self, reader: FeatureReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._maps: OrderedDict[tuple[int, str, Place, int], tuple[Ids, Ids]] = OrderedDict()

    def map_view(self, model: FittedModel, raster: PageRaster, window: Window) -> None:
        """Map the cells of a view, so that its tiles are there at once."""
        step = min(view_step(window), 1 << (raster.levels - 1))
        if step >= OVERVIEW_STEP:
            return
        with ThreadPoolExecutor(cpu_threads()) as pool:
            list(pool.map(lambda cell: self._cell_map(model, (raster.id, cell), step), cells_of(window)))

    def read(self, model: FittedModel, raster: PageRaster, window: Window, *, step: int) -> MapPart:
        """Map a window; height, width, row and column are multiples of ``step`` where they lie inside the raster.

        Args:
            model: The model.
            raster: The raster.
            window: The window in pixels.
            step: Pixels of the raster along a side of one pixel of the map, a power of 2.
        """
        if step >= OVERVIEW_STEP:
            return self._overview(model, raster, window, step=step)
        rows, cols = window.height // step, window.width // step
        part = MapPart(
            np.full((rows, cols), UNLABELLED, np.uint8),
            np.zeros((rows, cols), np.uint8),
            np.zeros((rows, cols), np.bool_),
        )
        inside = window.clipped(raster.info.height, raster.info.width)
        for cell in cells_of(inside):
            found = self._cell_map(model, (raster.id, cell), step)
            if found is None:
                continue
            top, left = cell[0] * CELL_PX // step, cell[1] * CELL_PX // step
            first_row, first_col = window.row // step, window.col // step
            here, there = (
                _overlap(top - first_row, CELL_PX // step, rows),
                _overlap(left - first_col, CELL_PX // step, cols),
            )
            for own, values in zip((part.index, part.confidence), found, strict=True):
                own[here[0], there[0]] = values[here[1], there[1]]
            part.is_read[here[0], there[0]] = True
        return part

    def probabilities_at(
        self, model: FittedModel, raster: PageRaster, *, row: float, col: float
    ) -> NDArray[np.float32] | None:
        """Return class probabilities (C,) at a place; None where no features are read or the pixel is invalid."""
        cell = int(row // CELL_PX), int(col // CELL_PX)
        stored = self._reader.stores[raster.id].get(cell)
        inside = row - cell[0] * CELL_PX, col - cell[1] * CELL_PX
        if stored is None or not stored.valid[int(inside[0]), int(inside[1])]:
            return None
        strides = self._reader.extractor.strides
        features = read_cell_at(stored, strides, rows=np.array([inside[0]]), cols=np.array([inside[1]]))
        return softmax(model.head.probe.scores(features).T, model.head.temperature)[:, 0]

    def _cell_map(self, model: FittedModel, place: tuple[str, Place], step: int) -> tuple[Ids, Ids] | None:
        key = model.revision, *place, step
        with self._lock:
            found = self._maps.get(key)
            if found is not None:
                self._maps.move_to_end(key)
                return found
        made = _map_cell(model, self._reader, place, step=step)
        if made is None:
            return None
        with self._lock:
            self._maps[key] = made
            outdated = [one for one in self._maps if one[0] < model.revision]
            for one in outdated:
                del self._maps[one]
            while len(self._maps) > _MAX_MAPS:
                self._maps.popitem(last=False)
        return made

    def _overview(self, model: FittedModel, raster: PageRaster, window: Window, *, step: int) -> MapPart:
        store = self._reader.stores[raster.id]
        square = CELL_PX // OVERVIEW_VALUES
        first = window.row // square, window.col // square
        size = -(-window.height // square), -(-window.width // square)
        state = np.zeros(size, np.uint8)
        there = Window(*first, *size).clipped(*store.overview_state.shape)
        here = np.s_[
            there.row - first[0] : there.row - first[0] + there.height,
            there.col - first[1] : there.col - first[1] + there.width,
        ]
        box = np.s_[there.row : there.row + there.height, there.col : there.col + there.width]
        state[here] = store.overview_state[box]
        probe = model.head.probe
        logits = np.zeros((len(probe.bias), *size), np.float32)
        flat = np.asarray(store.overview[box], np.float32).reshape(-1, probe.weight.shape[1])
        logits[:, *here] = probe.scores(flat).T.reshape(-1, there.height, there.width)
        if step < square:
            repeat = square // step
            logits, state = (
                logits.repeat(repeat, 1).repeat(repeat, 2),
                state.repeat(repeat, 0).repeat(repeat, 1),
            )
        elif step > square:
            factor = step // square
            blocks = (size[0] // factor, factor, size[1] // factor, factor)
            logits = logits.reshape(-1, *blocks).mean(axis=(2, 4), dtype=np.float32)
            state = state.reshape(blocks).max(axis=(1, 3))
        index, confidence = _decide(logits, model, state == 2)
        return MapPart(index, confidence, state > 0)


def view_step(window: Window) -> int:
    """Return the step at which a page of 1280 x 800 shows a window: a power of 2."""
    zoom = max(window.width / VIEW_PX[0], window.height / VIEW_PX[1], 1)
    return 1 << max(0, round(float(np.log2(zoom))))


def _map_cell(
    model: FittedModel, reader: FeatureReader, place: tuple[str, Place], *, step: int
) -> tuple[Ids, Ids] | None:
    raster_id, cell = place
    store = reader.stores[raster_id]
    if step >= COARSE_STEP:
        coarse = store.get_coarse(cell)
        if coarse is None:
            return None
        valid = coarse[1].repeat(COARSE_STRIDE // step, 0).repeat(COARSE_STRIDE // step, 1)
        return _decide(coarse_logits(coarse[0], model.head.probe, step), model, valid)
    found = store.get(cell)
    if found is None:
        return None
    side = CELL_PX // step
    is_valid = np.asarray(found.valid.reshape(side, step, side, step).any(axis=(1, 3)))
    return _decide(cell_logits(found, reader.extractor.strides, model.head.probe, step=step), model, is_valid)


def _decide(logits: NDArray[np.float32], model: FittedModel, valid: NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """Return positions of the most probable classes, 255 where invalid, and their probabilities in steps of 1/254."""
    index = logits.argmax(axis=0).astype(np.uint8)
    scaled = logits / np.float32(model.head.temperature)
    scaled -= scaled.max(axis=0)
    total = np.exp(scaled, out=scaled).sum(axis=0)
    confidence = np.rint(np.float32(254) / total).astype(np.uint8)
    return np.where(valid, index, np.uint8(UNLABELLED)), confidence


def _overlap(start: int, size: int, length: int) -> tuple[slice, slice]:
    """Return the part of ``length`` that a piece covers, and the part of the piece."""
    low, high = max(0, start), min(length, start + size)
    return slice(low, max(low, high)), slice(low - start, max(low, high) - start)


def class_shares(part: MapPart, classes: Sequence[int]) -> tuple[float, dict[int, int]]:
    """Return the share of a map whose features are read, and the count of pixels by class id."""
    counts = np.bincount(part.index[part.is_read].ravel(), minlength=UNLABELLED + 1)
    return float(part.is_read.mean()) if part.is_read.size else 0.0, {
        own: int(counts[n]) for n, own in enumerate(classes)
    }
