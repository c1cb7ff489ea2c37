"""Reading what a network makes of rasters at points: its logits, or the layers of its backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.domain.blocks import cell_numbers
from geoseg.domain.choices import draws_by_area, stratified_choice
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import Points, join_points, make_points
from geoseg.domain.ports import NullProgress, PixelSource, Progress
from geoseg.domain.windows import grid
from geoseg.errors import TrainingError
from geoseg.learning.normalisation import Normalisation
from geoseg.learning.validation import Sample
from geoseg.networks.features.feature_cache import FeatureCache
from geoseg.networks.features.normalising import normalise
from geoseg.networks.features.patches import UNCHANGED, Orientation, batches, plan_grid_patches, read_ahead
from geoseg.networks.losses.point_sampling import read_at_points

CONTEXT_STEP_PX = 32
"""Context is a multiple of the coarsest stride that a network has."""
CONTEXT_DIVISOR = 4
UNLABELLED_CELLS = 200
UNLABELLED_PER_CELL = 100
MIN_UNLABELLED = 2_000
MAX_POINTS = 50_000


@dataclass(frozen=True)
class FitData:
    """What to fit to: rasters by image name, points on them, and the normalisation of their pixels."""

    sources: Mapping[str, PixelSource]
    points: Points
    normalisation: Normalisation
    classes: int

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each raster."""
        return {name: (source.height, source.width) for name, source in self.sources.items()}


@dataclass(frozen=True)
class Reading:
    """What was read at P points, on the CPU.

    Attributes:
        values: (P, F), float32.
        label: The points' class ids (P,), int64.
        weight: The points' weights (P,).
        valid: Whether the raster is valid at each point (P,).
    """

    values: Tensor
    label: Tensor
    weight: Tensor
    valid: Tensor

    def take(self, chosen: Tensor) -> Reading:
        """Return the points where ``chosen`` (P,) is true."""
        return Reading(*(column[chosen] for column in vars(self).values()))

    def to_sample(self, places: NDArray[np.int64]) -> Sample:
        """Return the points as a sample to fit to, given the numbers of their places (P,)."""
        return Sample(self.values.numpy(), self.label.numpy(), self.weight.double().numpy(), places)


@dataclass(frozen=True)
class Reader:
    """How a network reads rasters.

    Attributes:
        patch_px: Side of the cells it reads.
        margin_px: Context read around each cell.
        batch: Cells read together.
        device: Where to compute.
        is_bf16: Whether convolutions compute in bfloat16.
        turn: How the cells are turned before the network sees them.
        views: In how many turns and flips labelled points are read, where a recipe reads them in several.
    """

    patch_px: int
    margin_px: int = 0
    batch: int = 8
    device: str = "cpu"
    is_bf16: bool = False
    turn: Orientation = UNCHANGED
    views: int = 1


def context_around(patch_px: int) -> int:
    """Return the context in pixels to read around cells of this side: a quarter of it, in whole steps of 32 px."""
    return max(CONTEXT_STEP_PX, patch_px // CONTEXT_DIVISOR // CONTEXT_STEP_PX * CONTEXT_STEP_PX)


def read_maps(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    progress: Progress | None = None,
) -> Reading:
    """Read maps (N, F_i, h_i, w_i) of patches at the points; the maps' channels come side by side.

    The points are read from a fixed grid of cells, so their order is that of :func:`sort_by_cell`.

    Args:
        maps: From normalised patches (N, B, H, W) to maps.
        points: Where to read, P > 0.
        data: Rasters and their normalisation.
        reader: How to read.
        progress: Told of every cell.
    """
    progress, device = progress or NullProgress(), torch.device(reader.device)
    cover = plan_grid_patches(points, reader.patch_px, reader.margin_px)
    plans = [replace(plan, turn=reader.turn) for plan in cover]
    side = reader.patch_px + 2 * reader.margin_px
    parts = list[tuple[Tensor, ...]]()
    progress.start("Reading features" if reader.turn == UNCHANGED else "Reading features, turned", len(plans))
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=reader.is_bf16):
        steps = list(batches(plans, reader.batch))
        for one in read_ahead(steps, data.sources, points, patch_px=side):
            images = normalise(one.pixels.to(device), one.valid.to(device), data.normalisation)
            at, here = one.points.to(device), one.points
            found = [
                read_at_points(m, index=at.index, row=at.row, col=at.col, size=(side, side))
                for m in maps(images.to(memory_format=torch.channels_last))
            ]
            valid = one.valid[here.index, (here.row + 0.5).long(), (here.col + 0.5).long()]
            parts.append((torch.cat(found, dim=1).cpu(), here.label, here.weight, valid))
            progress.advance(len(one.pixels))
    return Reading(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def read_cached_maps(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache,
    progress: Progress | None = None,
) -> Reading:
    """Read as :func:`read_maps` does, but only what is not in the cache, and keep it there.

    The result is the same. A cache that cannot be written to is warned of.
    """
    progress = progress or NullProgress()
    points = sort_by_cell(points, reader.patch_px)
    known = cache.find(points)
    values, valid = known.values, known.valid
    if not known.is_known.all():
        missing = points.take(~known.is_known.numpy())
        new = read_maps(maps, missing, data, reader=reader, progress=progress)
        if values.shape[1] != new.values.shape[1]:
            values = new.values.new_zeros((len(points), new.values.shape[1]))
        values[~known.is_known], valid[~known.is_known] = new.values, new.valid
        try:
            cache.store(missing, new.values, new.valid)
        except OSError as error:
            progress.warn(f"Features are not kept for the next training: {error}.")
    label, weight = torch.from_numpy(points.class_id.astype(np.int64)), torch.from_numpy(points.weight.copy())
    return Reading(values, label, weight, valid)


def read_logits(
    network: nn.Module,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    progress: Progress | None = None,
) -> Reading:
    """Read a network's logits (P, C) at the points, on the device that it is on; it is set to evaluate."""
    network.eval()
    return read_maps(lambda images: [network(images)], points, data, reader=reader, progress=progress)


def draw_unlabelled(sizes: Mapping[str, tuple[int, int]], patch_px: int, seed: int) -> Points:
    """Draw pixels at random, every pixel equally likely, to learn the class proportions from; their class is 255.

    From at most 200 cells of the grid; a whole cell gets 100 pixels, or more where that would be fewer than 2,000 in all.

    Args:
        sizes: Height and width of each raster by image name.
        patch_px: Side of the cells.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng([seed, UNLABELLED_CELLS])
    cells = [(name, cell) for name in sorted(sizes) for cell in grid(*sizes[name], patch_px)]
    chosen = np.sort(rng.choice(len(cells), min(UNLABELLED_CELLS, len(cells)), replace=False))
    areas = np.array([cells[k][1].height * cells[k][1].width for k in chosen], np.float64)
    density = max(UNLABELLED_PER_CELL / patch_px**2, MIN_UNLABELLED / areas.sum())
    drawn = []
    for k, count in zip(chosen, draws_by_area(areas, density, rng), strict=True):
        name, cell = cells[k]
        row = cell.row + rng.integers(cell.height, size=count)
        col = cell.col + rng.integers(cell.width, size=count)
        label = np.full(count, UNLABELLED)
        drawn.append(make_points(name, row.astype(np.float64), col.astype(np.float64), label))
    return join_points(drawn)


def subsample_points(points: Points, most: int | None = None) -> Points:
    """Return 50,000 points at most, or ``most``, of every class in proportion: features of all would need too much memory."""
    return points.take(stratified_choice(points.class_id, most or MAX_POINTS))


def sort_by_cell(points: Points, patch_px: int) -> Points:
    """Return the points in the order of a reading: by the cells of the grid."""
    return points.take(np.argsort(cell_numbers(points, patch_px), kind="stable"))


def read_labelled_and_unlabelled(
    maps: Callable[[Tensor], Sequence[Tensor]],
    data: FitData,
    *,
    reader: Reader,
    seed: int,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> tuple[Reading, Reading]:
    """Read maps at the labelled points and at random unlabelled pixels, in one pass over the cells.

    Of more than 50,000 points a random choice is read (:func:`subsample_points`). What the cache has is not read again.

    Raises:
        TrainingError: The points are of fewer than two classes.
    """
    if len(np.unique(data.points.class_id)) < 2:
        raise TrainingError("the points are all of one class", expected="points of two classes or more")
    every = join_points([subsample_points(data.points), draw_unlabelled(data.sizes, reader.patch_px, seed)])
    reading = _read(maps, every, data, reader=reader, cache=cache, progress=progress)
    is_unlabelled = reading.label == UNLABELLED
    return reading.take(~is_unlabelled), reading.take(is_unlabelled & reading.valid)


def read_augmented(
    maps: Callable[[Tensor], Sequence[Tensor]],
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Read maps at the labelled points of :func:`read_labelled_and_unlabelled`, in its order, as ``reader`` turns the cells."""
    return _read(maps, subsample_points(data.points), data, reader=reader, cache=cache, progress=progress)


def _read(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache | None,
    progress: Progress | None,
) -> Reading:
    if cache is None:
        return read_maps(maps, points, data, reader=reader, progress=progress)
    cache = replace(cache, network=f"{cache.network} {reader.turn}")
    return read_cached_maps(maps, points, data, reader=reader, cache=cache, progress=progress)
