"""Features in cells: the same whatever the view, and the same map as the graph of a model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.domain.windows import Window
from geoseg.inference.graphs.layers import LayerPlan, linear_graph
from geoseg.inference.runtimes import onnx_session
from geoseg.learning.heads.logistic import Probe
from geoseg.learning.live.cell_maps import cell_logits, softmax
from geoseg.learning.live.cell_store import CellStore
from geoseg.learning.live.cells import Cell, CellExtractor, read_cell_at
from geoseg.learning.normalisation import Normalisation


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.normal(100, 40, (3, 40, 40))
    return (coarse.repeat(32, 1).repeat(32, 2)[:, :1100, :1100] + rng.normal(0, 10, (3, 1100, 1100))).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def extractor() -> CellExtractor:
    return CellExtractor(Normalisation((100.0,) * 3, (40.0,) * 3), 1)


@pytest.fixture(scope="module")
def raster(pixels: np.ndarray) -> Any:
    from tests.conftest import ArraySource

    return ArraySource(pixels)


@pytest.fixture(scope="module")
def cell(raster: Any, extractor: CellExtractor) -> Cell:
    return extractor.compute(raster, 0, 1)


@pytest.fixture(scope="module")
def probe() -> Probe:
    rng = np.random.default_rng(0)
    return Probe(rng.normal(0, 0.05, (4, 192)).astype(np.float32), rng.normal(size=4).astype(np.float32))


def test_a_cell_is_mapped_as_by_the_graph_of_a_model(
    raster: Any, cell: Cell, probe: Probe, extractor: CellExtractor
) -> None:
    window = Window(0, 512, 512, 512).padded(128)
    values, valid = raster.read(window)
    graph = onnx_session(linear_graph(LayerPlan(3, 3, (1,), False), probe.weight, probe.bias), 1)
    image = Normalisation((100.0,) * 3, (40.0,) * 3).apply(values[None], valid[None])
    [logits] = graph(image)
    expected = softmax(logits[0, :, 128:-128, 128:-128], 1.0)
    found = softmax(cell_logits(cell, extractor.strides, probe, step=1), 1.0)
    # The last upsampling is shared by all strides, features are float16, and the context is shorter.
    assert np.abs(found - expected).mean() < 0.02
    assert (found.argmax(axis=0) == expected.argmax(axis=0)).mean() > 0.97


def test_neighbouring_cells_agree_at_their_border(raster: Any, cell: Cell, extractor: CellExtractor) -> None:
    other = extractor.compute(raster, 0, 0)
    rows = np.linspace(5, 500, 60)
    left = read_cell_at(other, extractor.strides, rows=rows, cols=np.full(60, 512.0))
    right = read_cell_at(cell, extractor.strides, rows=rows, cols=np.zeros(60))
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.995


def test_features_at_points_give_the_logits_of_the_map(
    cell: Cell, probe: Probe, extractor: CellExtractor
) -> None:
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(512, size=(2, 200))
    features = read_cell_at(cell, extractor.strides, rows=rows + 0.5, cols=cols + 0.5)
    at_points = softmax(probe.scores(features).T, 1.0)
    mapped = softmax(cell_logits(cell, extractor.strides, probe, step=1), 1.0)[:, rows, cols]
    assert np.abs(at_points - mapped).mean() < 0.02


@pytest.mark.parametrize(("step", "least"), [(2, 0.95), (4, 0.95), (8, 0.85), (16, 0.95)])
def test_a_coarser_map_is_the_mean_of_the_finer_one(
    cell: Cell, probe: Probe, extractor: CellExtractor, step: int, least: float
) -> None:
    fine = cell_logits(cell, extractor.strides, probe, step=1)
    side = 512 // step
    means = fine.reshape(4, side, step, side, step).mean(axis=(2, 4))
    found = cell_logits(cell, extractor.strides, probe, step=step)
    assert np.corrcoef(found.ravel(), means.ravel())[0, 1] > least


def test_bands_beside_red_green_and_blue_add_colour_and_texture() -> None:
    from tests.conftest import ArraySource

    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (4, 512, 512)).astype(np.float32)
    values[3] = np.linspace(-1, 1, 512)
    extractor = CellExtractor(Normalisation((0.0,) * 4, (1.0,) * 4), 1)
    cell = extractor.compute(ArraySource(values), 0, 0)
    assert sum(extractor.counts) == 192 + 36
    found = read_cell_at(cell, extractor.strides, rows=np.array([100.0, 100.0]), cols=np.array([64.5, 448.5]))
    assert found[:, 192 + 3] == pytest.approx([-0.75, 0.75], abs=0.01)


def test_cells_come_back_from_the_disk_and_the_oldest_are_dropped(tmp_path: Path, cell: Cell) -> None:
    def store(limit: int) -> CellStore:
        return CellStore(tmp_path / "cells", limit_bytes=limit, memory_bytes=1, shape=(2, 2), features=192)

    first = store(8_000_000)
    for place in ((0, 0), (0, 1), (1, 0)):
        first.put(place, cell, keep_full=True)
    again = store(8_000_000)
    assert again.count == 3
    assert [again.has_full(place) for place in ((0, 0), (0, 1), (1, 0))] == [False, True, True]
    found = again.get((0, 1))
    assert found is not None
    assert all(np.array_equal(one, other) for one, other in zip(found.maps, cell.maps, strict=True))
    coarse = again.get_coarse((0, 0))
    assert coarse is not None
    assert np.array_equal(coarse[0], cell.coarse)
    assert (again.overview_state[:8] == 2).all()
    assert (again.overview_state[8:, 8:] == 0).all()
    (tmp_path / "cells" / "0_1.full.npz").write_bytes(b"damaged")
    assert store(8_000_000).get((0, 1)) is None
