"""Feature maps read at points: the logits of a network, or the layers of its backbone."""

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
"""Context is a multiple of this, the coarsest stride of the networks."""
CONTEXT_DIVISOR = 4
UNLABELLED_CELLS = 200
UNLABELLED_PER_CELL = 100
MIN_UNLABELLED = 2_000
MAX_POINTS = 50_000


@dataclass(frozen=True)
class FitData:
    """Training data: rasters by image name, their points, the normalisation and the number of classes."""

    sources: Mapping[str, PixelSource]
    points: Points
    normalisation: Normalisation
    classes: int

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each raster."""
        return {name: (source.height, source.width) for name, source in self.sources.items()}


@dataclass(frozen=True)
class PointFeatures:
    """Features of P points, on the CPU.

    Attributes:
        values: (P, F), float32.
        label: Class ids (P,), int64.
        weight: Point weights (P,).
        valid: Whether the raster is valid at each point (P,).
    """

    values: Tensor
    label: Tensor
    weight: Tensor
    valid: Tensor

    def take(self, chosen: Tensor) -> PointFeatures:
        """Return the rows where ``chosen`` (P,) is true."""
        return PointFeatures(*(column[chosen] for column in vars(self).values()))

    def to_sample(self, places: NDArray[np.int64]) -> Sample:
        """Convert to a sample for fitting, given the block numbers of the points (P,)."""
        return Sample(self.values.numpy(), self.label.numpy(), self.weight.double().numpy(), places)


@dataclass(frozen=True)
class Reader:
    """How a network reads rasters.

    Attributes:
        patch_px: Side of the cells in pixels.
        margin_px: Context around each cell in pixels.
        batch: Cells per batch.
        device: "cpu", "cuda" or "mps".
        is_bf16: Whether convolutions compute in bfloat16.
        turn: Rotation and flip of the cells before the network is applied.
        views: Number of orientations (rotations and flips) in which labelled points are read.
    """

    patch_px: int
    margin_px: int = 0
    batch: int = 8
    device: str = "cpu"
    is_bf16: bool = False
    turn: Orientation = UNCHANGED
    views: int = 1


def context_around(patch_px: int) -> int:
    """Return the context to read around cells of this side: a quarter of it, rounded down to multiples of 32 px."""
    return max(CONTEXT_STEP_PX, patch_px // CONTEXT_DIVISOR // CONTEXT_STEP_PX * CONTEXT_STEP_PX)


def read_maps(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read feature maps (N, F_i, h_i, w_i) at the points and concatenate their channels.

    The points are read cell by cell in a fixed grid, so they come back in the order of :func:`sort_by_cell`.

    Args:
        maps: Function from normalised patches (N, B, H, W) to feature maps.
        points: Points to read at, P > 0.
        data: Rasters and their normalisation.
        reader: How to read.
        progress: Progress of the reading, one step per cell.
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
    return PointFeatures(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def read_cached_maps(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read as :func:`read_maps` does, but only points missing from the cache, and store these.

    The result is the same. A warning is given if the cache cannot be written.
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
            progress.warn(f"Features could not be cached for the next training: {error}.")
    label, weight = torch.from_numpy(points.class_id.astype(np.int64)), torch.from_numpy(points.weight.copy())
    return PointFeatures(values, label, weight, valid)


def read_logits(
    network: nn.Module,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read a network's logits (P, C) at the points, on the device of the network; set it to evaluation mode."""
    network.eval()
    return read_maps(lambda images: [network(images)], points, data, reader=reader, progress=progress)


def draw_unlabelled(sizes: Mapping[str, tuple[int, int]], patch_px: int, seed: int) -> Points:
    """Draw random pixels of class 255, all equally likely, for the estimation of class proportions.

    They come from at most 200 cells of the grid. A whole cell gets 100 pixels, or more if the total would be below
    2,000.

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
    """Return a stratified random subset of at most ``most`` points (default 50,000), to limit the memory of features."""
    return points.take(stratified_choice(points.class_id, most or MAX_POINTS))


def sort_by_cell(points: Points, patch_px: int) -> Points:
    """Sort the points by their cells in the grid, the order in which they are read."""
    return points.take(np.argsort(cell_numbers(points, patch_px), kind="stable"))


def read_labelled_and_unlabelled(
    maps: Callable[[Tensor], Sequence[Tensor]],
    data: FitData,
    *,
    reader: Reader,
    seed: int,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> tuple[PointFeatures, PointFeatures]:
    """Read feature maps at the labelled points and at random unlabelled pixels, in one pass over the cells.

    Of more than 50,000 points a random subset is read (:func:`subsample_points`). Cached points are not read again.

    Raises:
        TrainingError: The points have fewer than two classes.
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
) -> PointFeatures:
    """Read feature maps at the labelled points, rotated and flipped as ``reader.turn`` says.

    The points and their order are those of :func:`read_labelled_and_unlabelled`.
    """
    return _read(maps, subsample_points(data.points), data, reader=reader, cache=cache, progress=progress)


def _read(
    maps: Callable[[Tensor], Sequence[Tensor]],
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache | None,
    progress: Progress | None,
) -> PointFeatures:
    if cache is None:
        return read_maps(maps, points, data, reader=reader, progress=progress)
    cache = replace(cache, network=f"{cache.network} {reader.turn}")
    return read_cached_maps(maps, points, data, reader=reader, cache=cache, progress=progress)
