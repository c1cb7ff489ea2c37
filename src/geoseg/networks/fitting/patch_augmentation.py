"""Augmented views of a batch of patches, with their points and pixel labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geoseg.domain.windows import Window
from geoseg.networks.losses.pfce import PatchPoints


@dataclass(frozen=True)
class View:
    """N patches as input of a network, with their labels.

    Attributes:
        images: Normalised pixels (N, B, p, p).
        valid: Validity (N, p, p), bool.
        points: The labelled points in them.
        teacher_probabilities: Class probabilities from a teacher (N, C, p, p), or None.
        pseudo_labels: Class ids grown from the points (N, p, p), int64, 255 elsewhere; or None.
        absent: Absent classes (N, C), bool; or None.
    """

    images: Tensor
    valid: Tensor
    points: PatchPoints
    teacher_probabilities: Tensor | None = None
    pseudo_labels: Tensor | None = None
    absent: Tensor | None = None


def draw_box(side: int, generator: torch.Generator, shares: tuple[float, float] = (0.1, 0.6)) -> Window:
    """Draw a rectangle in a square of ``side`` pixels; its area is between two fractions of the square's area.

    As in French et al., "Semi-supervised semantic segmentation needs strong, varied perturbations" (BMVC 2020): the
    area and the aspect ratio are random, and all positions are equally likely.

    Args:
        side: Side of the square, >= 2.
        generator: Source of randomness, on the CPU.
        shares: Minimum and maximum fraction of the area, 0..1.
    """
    share, proportion, down, across = torch.rand(4, generator=generator).tolist()
    area = shares[0] + (shares[1] - shares[0]) * share
    # Between the widest and the tallest rectangle of this area that fits.
    height = max(1, round(side * area**proportion))
    width = max(1, min(side, round(side * area / (height / side))))
    return Window(int(down * (side - height + 1)), int(across * (side - width + 1)), height, width)


def cutmix(view: View, box: Window) -> View:
    """Replace the pixels, labels and points of each patch inside a box by those of the next patch.

    The result has no absent classes, because they differ inside the box.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features" (ICCV 2019).
    A point moves with the pixel that it lies in.

    Args:
        view: The view; a single patch does not change.
        box: The box in patch coordinates.
    """
    count = len(view.images)

    def paste(pixels: Tensor | None) -> Tensor | None:
        if pixels is None:
            return None
        inside = (..., slice(box.row, box.row + box.height), slice(box.col, box.col + box.width))
        mixed = pixels.clone()
        mixed[inside] = pixels.roll(-1, 0)[inside]
        return mixed

    points = view.points
    row, col = torch.floor(points.row + 0.5), torch.floor(points.col + 0.5)
    is_inside = (
        (row >= box.row) & (row < box.row + box.height) & (col >= box.col) & (col < box.col + box.width)
    )
    index = torch.where(is_inside, (points.index - 1) % count, points.index)
    images, valid = paste(view.images), paste(view.valid)
    assert images is not None
    assert valid is not None
    return View(
        images,
        valid,
        replace(points, index=index),
        paste(view.teacher_probabilities),
        paste(view.pseudo_labels),
    )
