"""Initialisation of DeepLabV3's head with a linear probe of the backbone.

Training a random head distorts the features of the backbone and lowers accuracy on other places
(Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution",
ICLR 2022). The head therefore starts as a linear classifier of the features at the labelled points.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from geoseg.domain.choices import stratified_choice
from geoseg.domain.points import TRAIN
from geoseg.domain.ports import Progress
from geoseg.learning.features.patches import PatchPlan, batches, plan_grid_patches, read_ahead
from geoseg.learning.features.reading import FitData, subsample_points
from geoseg.learning.heads.logistic import Probe, fit_probe
from geoseg.networks.features.batches import TensorBatch, to_tensors
from geoseg.networks.features.normalising import normalise
from geoseg.networks.fitting.loop import FitPlan
from geoseg.networks.losses.point_sampling import read_at_points
from geoseg.networks.models.deeplab import DeepLabV3

INVERSE_RIDGE = 3e-3
MAX_POINTS = 20_000
BATCH_NORM_BATCHES = 8
CELLS_PER_PATCH = 8
# Index in the pyramid, convolution and batch norm of the 1x1 branch and of the pooling branch.
_BRANCHES = ((0, ("0.convs.0.0", "0.convs.0.1")), (4, ("0.convs.4.1", "0.convs.4.2")))


@dataclass(frozen=True)
class Features:
    """Backbone features at the labelled points, concatenated with their local means.

    Attributes:
        at_points: (P, F), float32.
        labels: Class ids (P,).
        weights: Point weights (P,).
        at_cells: (S, F), at random cells of the patches that contain the points.
    """

    at_points: Tensor
    labels: Tensor
    weights: Tensor
    at_cells: Tensor


def can_init_head(network: DeepLabV3, data: FitData) -> bool:
    """Return whether there are at least two classes, and enough channels for all."""
    room = cast(nn.Conv2d, network.classifier.get_submodule("1")).in_channels
    return (
        len(np.unique(data.points.with_role(TRAIN).with_positive_weight().class_id)) > 1
        and 2 * data.classes <= room
    )


def init_head(
    network: DeepLabV3, data: FitData, plan: FitPlan, *, missing: Collection[str], progress: Progress
) -> None:
    """Fit a linear probe at the training points and write it into the head.

    Of more than 20,000 points a random subset is read. Batch norms without pretrained statistics get them from the
    patches that contain the points.

    Args:
        network: The network; changed in place.
        data: Rasters and points.
        plan: The training settings.
        missing: Names of the tensors without pretrained weights.
        progress: Progress of the initialisation, one step per batch.
    """
    data = replace(
        data, points=subsample_points(data.points.with_role(TRAIN).with_positive_weight(), MAX_POINTS)
    )
    training = data.points
    steps = list(batches(plan_grid_patches(training, plan.patch_px), plan.batch))
    settling = [steps[k] for k in stratified_choice(np.zeros(len(steps)), BATCH_NORM_BATCHES)]
    progress.start("Starting the head", len(settling) + len(steps))
    network.to(torch.device(plan.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    with _batch_norm_estimation(network, missing):
        for batch in read_ahead(settling, data.sources, training, patch_px=plan.patch_px):
            network(_prepare(to_tensors(batch), data, plan))
            progress.advance()
    parts = []
    for part in _read_features(network, data, plan, steps=steps):
        parts.append(part)
        progress.advance()
    features = Features(
        *(torch.cat(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True))
    )
    probe = probe_features(features, data.classes, plan.class_weights)
    write_probe(network.classifier, probe, features.at_cells)


@contextmanager
def _batch_norm_estimation(network: nn.Module, missing: Collection[str]) -> Iterator[None]:
    """Estimate the statistics of batch norms without pretrained weights, as means over all batches."""
    network.eval()
    norms = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and f"{name}.running_mean" in missing
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    with torch.no_grad():
        yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def _prepare(batch: TensorBatch, data: FitData, plan: FitPlan) -> Tensor:
    device = torch.device(plan.device)
    images = normalise(batch.pixels.to(device), batch.valid.to(device), data.normalisation)
    return images.to(memory_format=torch.channels_last)


def _read_features(
    network: DeepLabV3, data: FitData, plan: FitPlan, *, steps: Sequence[Sequence[PatchPlan]]
) -> Iterator[Features]:
    device = torch.device(plan.device)
    draw = torch.Generator().manual_seed(plan.seed)
    local_mean = network.classifier.get_submodule("0.convs.4.0")
    for read in read_ahead(steps, data.sources, data.points, patch_px=plan.patch_px):
        batch = to_tensors(read)
        with torch.no_grad():
            own = network.backbone(_prepare(batch, data, plan))["out"]
            maps = torch.cat([own, local_mean(own)], dim=1)
            at = batch.points.to(device)
            size = (plan.patch_px, plan.patch_px)
            found = read_at_points(maps, index=at.index, row=at.row, col=at.col, size=size)
        cells = maps.permute(0, 2, 3, 1).flatten(0, 2).cpu()
        chosen = torch.randint(len(cells), (CELLS_PER_PATCH * len(maps),), generator=draw)
        yield Features(found.cpu(), batch.points.label, batch.points.weight, cells[chosen])


def probe_features(features: Features, classes: int, class_weights: Sequence[float] | None = None) -> Probe:
    """Fit a probe to the features at the points."""
    labels = features.labels.numpy()
    weights = features.weights.double().numpy()
    if class_weights is not None:
        weights = weights * np.asarray(class_weights)[labels]
    found = features.at_points.double().numpy()
    return fit_probe(found, labels, weights, classes=classes, inverse_ridge=INVERSE_RIDGE)


@torch.no_grad()
def write_probe(head: nn.Module, probe: Probe, at_cells: Tensor) -> None:
    """Write a probe into the head so that it outputs the probe's scores; the other channels are unchanged.

    The 1x1 branch gives the scores of the features and their negatives, the pooling branch those of the local means.
    The projection adds them up. The 3x3 convolution passes on several copies, so that dropout does not remove all of
    them. The last convolution averages the differences. The batch norms in between are set to the identity.

    Args:
        head: torchvision's ``DeepLabHead``; changed in place.
        probe: The probe.
        at_cells: Features at random cells (S, F), for the statistics of the batch norms.
    """
    classes, device = len(probe.bias), next(head.parameters()).device
    slope, bias = torch.from_numpy(probe.weight), torch.from_numpy(probe.bias)
    middle, middle_norm = _pair(head, "1", "2")
    project, project_norm = _pair(head, "0.project.0", "0.project.1")
    last = cast(nn.Conv2d, head.get_submodule("4"))
    copies = max(1, middle.in_channels // (4 * classes))
    lanes = 2 * classes * copies
    same = torch.eye(classes, device=device)
    difference = torch.cat([same, -same], dim=1)
    add_up = torch.cat([difference, -difference]).repeat(copies, 1)
    project.weight[:lanes] = 0
    parts = zip(_BRANCHES, slope.chunk(2, dim=1), at_cells.chunk(2, dim=1), strict=True)
    for (position, names), weight, features in parts:
        branch, norm = _pair(head, *names)
        branch.weight[: 2 * classes] = torch.cat([weight, -weight])[:, :, None, None].to(device)
        _set_identity(norm, features @ torch.cat([weight, -weight]).T)
        first = position * middle.in_channels
        project.weight[:lanes, first : first + 2 * classes, 0, 0] = add_up
    scores = at_cells @ torch.cat([slope, -slope]).repeat(copies, 1).T
    _set_identity(project_norm, scores)
    middle.weight[:lanes] = 0
    middle.weight[torch.arange(lanes), torch.arange(lanes), 1, 1] = 1
    _set_identity(middle_norm, scores.relu())
    last.weight.zero_()
    last.weight[:, :lanes, 0, 0] = difference.repeat(1, copies) / copies
    assert last.bias is not None
    last.bias.copy_(bias)


def _pair(head: nn.Module, convolution: str, norm: str) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return cast(nn.Conv2d, head.get_submodule(convolution)), cast(nn.BatchNorm2d, head.get_submodule(norm))


def _set_identity(norm: nn.BatchNorm2d, values: Tensor) -> None:
    """Set a batch norm to the identity on its first channels, given samples of them (S, channels)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = values.mean(dim=0), values.var(dim=0, correction=0)
    first = slice(values.shape[1])
    norm.running_mean[first], norm.running_var[first] = mean, variance
    norm.weight[first], norm.bias[first] = (variance + norm.eps).sqrt(), mean
