"""Measure what suggested points are worth: mIoU against the number of points, suggested against random.

Answers are simulated from masks. Features, head and suggestions are those of ``geoseg label``: candidates are squares of
16 px, the map is made by the live head. Run with folders of ``images/`` and ``masks/``:

    python benchmarks/suggestions.py /data/naip --names train.txt --seeds 5

Without a folder, an invented landscape is used.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoseg.domain.suggestions import cover, question
from geoseg.domain.windows import grid
from geoseg.geodata.reading.rasters import Raster, open_raster
from geoseg.learning.live.cell_maps import softmax
from geoseg.learning.live.cells import CELL_PX, COARSE_STRIDE, CellExtractor, read_cell_at
from geoseg.learning.live.head import LiveHead, block_numbers, fit_live
from geoseg.learning.normalisation import measure_normalisation
from geoseg.learning.validation import Sample
from geoseg.workflows.labelling.suggest import POINTS_PER_CLASS, SPACING_PX

BUDGETS = (6, 12, 25, 50, 100, 200, 400, 600)
MAX_CANDIDATES, TEST_PIXELS, UNLABELLED = 4_000, 6_000, 255


@dataclass(frozen=True)
class Pool:
    """Places of a raster with their true class: as candidates, for training, and for the score."""

    coarse: NDArray[np.float32]
    values: NDArray[np.float32]
    places: NDArray[np.float64]
    labels: NDArray[np.int64]
    test_values: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def read_pool(image: Path, mask: NDArray[np.uint8], seed: int = 0) -> Pool:
    """Read the features of all cells of a raster."""
    rng = np.random.default_rng(seed)
    with open_raster(image) as raster:
        extractor = CellExtractor(_normalisation(raster), 1)
        columns: list[tuple[NDArray[np.floating], ...]] = []
        for row in range(-(-raster.height // CELL_PX)):
            for col in range(-(-raster.width // CELL_PX)):
                cell = extractor.compute(raster, row, col)
                squares = np.stack(np.indices((32, 32)).reshape(2, -1), axis=1)
                inside = squares * COARSE_STRIDE + rng.integers(COARSE_STRIDE, size=(1024, 2))
                tested = rng.integers(CELL_PX, size=(1024, 2))
                coarse = cell.coarse[:, 1:-1, 1:-1][:, squares[:, 0], squares[:, 1]].T.astype(np.float32)
                read = [
                    read_cell_at(cell, extractor.strides, rows=at[:, 0] + 0.5, cols=at[:, 1] + 0.5)
                    for at in (inside, tested)
                ]
                corner = np.array([row, col]) * CELL_PX
                columns.append(
                    (
                        coarse,
                        read[0],
                        inside + corner + 0.5,
                        _class_at(mask, inside + corner),
                        read[1],
                        _class_at(mask, tested + corner),
                    )
                )
    coarse, values, places, labels, test_values, test_labels = (
        np.concatenate(one) for one in zip(*columns, strict=True)
    )
    kept = rng.permutation(np.flatnonzero(labels != UNLABELLED))[:MAX_CANDIDATES]
    tested = rng.permutation(np.flatnonzero(test_labels != UNLABELLED))[:TEST_PIXELS]
    return Pool(
        coarse[kept],
        values[kept],
        places[kept],
        labels[kept].astype(np.int64),
        test_values[tested],
        test_labels[tested].astype(np.int64),
    )


def curve(pool: Pool, seed: int, *, is_suggested: bool) -> list[float]:
    """Return the mIoU after each budget of points."""
    rng = np.random.default_rng(seed)
    chosen = list[int]()
    head: LiveHead | None = None
    found = []
    for budget in BUDGETS:
        while len(chosen) < min(budget, len(pool.labels)):
            batch = min(budget - len(chosen), max(6, len(chosen) // 4))
            more = (
                _suggested(pool, chosen, head, count=batch, seed=seed)
                if is_suggested
                else _random(pool, chosen, batch, rng=rng)
            )
            if not more:
                more = _random(pool, chosen, batch, rng=rng)
            chosen += more
            if len(set(pool.labels[chosen])) > 1:
                at = pool.places[chosen]
                blocks = block_numbers(at[:, 0], at[:, 1], np.zeros(len(at), np.int64), side_px=128)
                head = fit_live(
                    Sample(pool.values[chosen], pool.labels[chosen], np.ones(len(at)), blocks), before=head
                )
        found.append(0.0 if head is None else _miou(pool, head))
    return found


def _suggested(pool: Pool, chosen: list[int], head: LiveHead | None, *, count: int, seed: int) -> list[int]:
    left = np.setdiff1d(np.arange(len(pool.labels)), chosen)
    if head is None or len(chosen) < POINTS_PER_CLASS * len(head.classes):
        known = pool.values[chosen], pool.places[chosen]
        picked = cover(
            pool.coarse[left], pool.places[left], known=known, count=count, seed=seed + len(chosen)
        )
    else:
        probabilities = softmax(head.probe.scores(pool.coarse[left]).T, head.temperature).T
        counts = np.array([(pool.labels[chosen] == own).sum() for own in head.classes])
        picked = question(
            probabilities,
            pool.places[left],
            known=pool.places[chosen],
            class_counts=counts,
            count=count,
            spacing_px=SPACING_PX,
        )
    return left[picked].tolist()


def _random(pool: Pool, chosen: list[int], count: int, *, rng: np.random.Generator) -> list[int]:
    left = np.setdiff1d(np.arange(len(pool.labels)), chosen)
    return rng.permutation(left)[:count].tolist()


def _miou(pool: Pool, head: LiveHead) -> float:
    predicted = np.array(head.classes)[head.probe.scores(pool.test_values).argmax(axis=1)]
    scores = []
    for own in np.unique(pool.test_labels):
        there, mapped = pool.test_labels == own, predicted == own
        scores.append((there & mapped).sum() / (there | mapped).sum())
    return float(np.mean(scores))


def _class_at(mask: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    inside = (at < mask.shape).all(axis=1)
    found = np.full(len(at), UNLABELLED, np.uint8)
    found[inside] = mask[at[inside, 0], at[inside, 1]]
    return found


def _normalisation(raster: Raster):  # type: ignore[no-untyped-def]
    windows = list(grid(raster.height, raster.width, 256))[::4]
    return measure_normalisation(raster.read(window) for window in windows)


def _places(arguments: argparse.Namespace) -> Iterator[tuple[str, Path, NDArray[np.uint8]]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder
        if folder is None:
            from geoseg.settings import DemoSettings
            from geoseg.workflows.demo import demo

            folder = Path(temporary) / "demo"
            demo(DemoSettings(output=folder))
            folder = next(path.parent for path in sorted(folder.rglob("images")))
        names = [path.stem for path in sorted((folder / "images").glob("*.tif"))]
        if arguments.names:
            names = [
                Path(line.strip()).stem
                for line in (folder / arguments.names).read_text().splitlines()
                if line.strip()
            ]
        for name in names:
            with rasterio.open(folder / "masks" / f"{name}.tif") as dataset:
                yield name, folder / "images" / f"{name}.tif", dataset.read(1)


def main() -> None:
    """Print a line for each place and the means over all places."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--names")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    every: dict[bool, list[list[float]]] = {False: [], True: []}
    print("place              way       ", *(f"{budget:6d}" for budget in BUDGETS), flush=True)
    for name, image, mask in _places(arguments):
        began = time.process_time()
        pool = read_pool(image, mask)
        for is_suggested in (False, True):
            curves = [curve(pool, seed, is_suggested=is_suggested) for seed in range(arguments.seeds)]
            every[is_suggested] += curves
            _show(name, is_suggested, curves)
        print(f"  {time.process_time() - began:.0f} CPU s", flush=True)
    for is_suggested, curves in every.items():
        _show("mean", is_suggested, curves)


def _show(name: str, is_suggested: bool, curves: list[list[float]]) -> None:
    means = np.mean(curves, axis=0)
    way = "suggested" if is_suggested else "random"
    print(f"{name:18s} {way:10s}", *(f"{100 * one:6.1f}" for one in means), flush=True)


if __name__ == "__main__":
    main()
