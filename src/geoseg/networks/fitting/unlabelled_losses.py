"""Losses on unlabelled pixels: consistency with a teacher, pseudo-labels, and a pairwise loss by colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.domain.legend import UNLABELLED
from geoseg.learning.calibration import Calibration
from geoseg.learning.features.patches import Orientation
from geoseg.networks.fitting.augmentation import jitter_colors
from geoseg.networks.fitting.patch_augmentation import View, cutmix, draw_box
from geoseg.networks.losses.affinity import gated_crf
from geoseg.networks.losses.consistency import consistency, most_confident
from geoseg.networks.losses.pfce import focal_sums
from geoseg.networks.losses.pseudo_labels import grow_regions

AFFINITY_PX = 4
"""Side in pixels of the cells over which colours and probabilities are averaged for the pairwise loss."""


@dataclass(frozen=True)
class UnlabelledLosses:
    """Weights and settings of the losses; a loss of weight 0 is not computed.

    Attributes:
        points: Weight of the loss at the points.
        consistency: Weight of the consistency loss.
        fraction: The consistency loss uses this fraction (0..1) of each class's pixels: those where the teacher is most
            confident.
        has_rotations: Whether the teacher gets the patches rotated and flipped, at random in each step. The student
            then learns the mean over all orientations.
        color: Strength of the colour augmentation of the student's view, in standard deviations.
        has_cutmix: Whether CutMix is applied to the student's view.
        growing: Weight of the loss on pseudo-labels grown from the points.
        min_probability: Minimum probability of a pixel that joins a region, 0.5..1.
        growth_px: Maximum distance of growth in pixels.
        affinity: Weight of the pairwise loss by colour.
        calibration: Calibration of the logits on unlabelled pixels.
        absent: Absent classes by image name; the teacher gives them probability 0 there.
    """

    points: float = 1.0
    consistency: float = 0.0
    fraction: float = 1.0
    has_rotations: bool = False
    color: float = 0.2
    has_cutmix: bool = False
    growing: float = 0.0
    min_probability: float = 0.8
    growth_px: int = 16
    affinity: float = 0.0
    calibration: Calibration = field(default_factory=Calibration)
    absent: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)

    @property
    def has_teacher(self) -> bool:
        """Whether any loss needs a teacher."""
        return self.consistency > 0 or self.growing > 0

    def absent_in(self, images: Sequence[str]) -> Tensor | None:
        """Return for each patch which classes are absent from its image, flags (N, C); None if unknown."""
        return torch.tensor([self.absent[name] for name in images]) if self.absent else None

    def augment(self, view: View, teacher: nn.Module, generator: torch.Generator) -> View:
        """Return the student's view: with teacher probabilities, colour augmentation and CutMix.

        Args:
            view: Patches without augmentation.
            teacher: Module from images to logits (N, C, p, p), in evaluation mode.
            generator: Source of randomness, on the CPU.
        """
        if self.has_teacher:
            view = self._add_teacher_probabilities(view, teacher, generator)
        images = jitter_colors(view.images, view.valid, strength=self.color, generator=generator)
        view = replace(view, images=images)
        if not self.has_cutmix:
            return view
        return cutmix(view, draw_box(images.shape[-1], generator))

    def _add_teacher_probabilities(self, view: View, teacher: nn.Module, generator: torch.Generator) -> View:
        turn = Orientation()
        if self.has_rotations:
            quarters, flip = (
                torch.randint(4, (), generator=generator),
                torch.randint(2, (), generator=generator),
            )
            turn = Orientation(int(quarters), bool(flip))
        images = _turned(view.images, turn).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            logits = _turned(teacher(images).float(), turn.inverse)
            logits = self.calibration.apply(logits)
            if view.absent is not None:
                logits = logits.masked_fill(view.absent[:, :, None, None], -torch.inf)
            teacher_probabilities = functional.softmax(logits, dim=1)
        if self.growing == 0:
            return replace(view, teacher_probabilities=teacher_probabilities)
        pseudo_labels = grow_regions(
            view.points,
            teacher_probabilities,
            view.valid,
            min_probability=self.min_probability,
            steps=self.growth_px,
        )
        return replace(view, teacher_probabilities=teacher_probabilities, pseudo_labels=pseudo_labels)

    def loss(self, logits: Tensor, view: View, at_points: Tensor, *, gamma: float) -> Tensor:
        """Return the sum of all losses, including the loss at the points.

        Args:
            logits: Logits of the student (N, C, p, p).
            view: The student's view.
            at_points: The loss at the points, a scalar.
            gamma: Focusing parameter of the loss on pseudo-labels, as at the points.
        """
        loss = self.points * at_points
        logits = logits.float()
        calibrated = self.calibration.apply(logits)
        if self.consistency > 0 and view.teacher_probabilities is not None:
            counted = most_confident(view.teacher_probabilities, view.valid, self.fraction)
            loss = loss + self.consistency * consistency(calibrated, view.teacher_probabilities, counted)
        if self.growing > 0 and view.pseudo_labels is not None:
            is_grown = view.pseudo_labels != UNLABELLED
            total, weight = focal_sums(
                logits.movedim(1, -1)[is_grown], view.pseudo_labels[is_grown], gamma=gamma
            )
            loss = loss + self.growing * total / weight.clamp_min(1)
        if self.affinity > 0:
            loss = loss + self.affinity * self._energy(calibrated, view)
        return loss

    def _energy(self, logits: Tensor, view: View) -> Tensor:
        probabilities = functional.avg_pool2d(functional.softmax(logits, dim=1), AFFINITY_PX)
        images = functional.avg_pool2d(view.images, AFFINITY_PX)
        valid = functional.avg_pool2d(view.valid.to(images.dtype)[:, None], AFFINITY_PX)[:, 0] > 1 - 1e-3
        return gated_crf(probabilities, images, valid)


def _turned(images: Tensor, turn: Orientation) -> Tensor:
    """Rotate and flip images (N, C, s, s), as :meth:`Orientation.apply_to_array` does with arrays."""
    turned = torch.rot90(images, turn.quarters, (-2, -1))
    return turned.flip(-1) if turn.is_flipped else turned
