"""What teaches a network beside its points: a teacher's map of the pixels without labels, and their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.domain.legend import UNLABELLED
from geoseg.learning.calibration import Calibration
from geoseg.networks.features.patches import Orientation
from geoseg.networks.fitting.augmentation import jitter_colors
from geoseg.networks.fitting.patch_augmentation import View, cutmix, draw_box
from geoseg.networks.losses.affinity import gated_crf
from geoseg.networks.losses.consistency import consistency, most_confident
from geoseg.networks.losses.pfce import focal_sums
from geoseg.networks.losses.pseudo_labels import grow_regions

AFFINITY_PX = 4
"""Side of the cells whose mean colours and probabilities the pairwise term compares."""


@dataclass(frozen=True)
class UnlabelledLosses:
    """How much each part teaches; a part of weight 0 costs nothing and changes nothing.

    Attributes:
        points: Weight of the loss at the points.
        consistency: Weight of the agreement with the teacher.
        fraction: Share of the pixels of each class that the teacher is most_confident of, which count in it, 0..1.
        has_turns: Whether the teacher sees the patches turned and flipped, another way at every step, so that the
            student learns the mean of what it says of all turns.
        color: Strength of the colour changes of the student's view, in standard deviations.
        has_cutmix: Whether the student's view is mixed of two patches.
        growing: Weight of the labels pseudo_labels from the points.
        least: Least probability of a pixel that they grow over, 0.5..1.
        reach: How far they grow, in pixels.
        affinity: Weight of the pairwise term by colour.
        calibration: What turns logits into probabilities of the land, for the pixels without labels.
        absent: Which classes are not there, by image name; the teacher then does not see them there.
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
        """Whether any part asks a teacher."""
        return self.consistency > 0 or self.growing > 0

    def absent_in(self, images: Sequence[str]) -> Tensor | None:
        """Return which classes are not there in patches of these images (N, C), or None where that is not known."""
        return torch.tensor([self.absent[name] for name in images]) if self.absent else None

    def show(self, view: View, teacher: nn.Module, generator: torch.Generator) -> View:
        """Return what the student is shown: the view with the teacher's answer to it, colours changed, and mixed.

        Args:
            view: Patches as they are.
            teacher: From images to logits (N, C, p, p); it evaluates.
            generator: Source of randomness, on the CPU.
        """
        if self.has_teacher:
            view = self._ask(view, teacher, generator)
        images = jitter_colors(view.images, view.valid, strength=self.color, generator=generator)
        view = replace(view, images=images)
        if not self.has_cutmix:
            return view
        return cutmix(view, draw_box(images.shape[-1], generator))

    def _ask(self, view: View, teacher: nn.Module, generator: torch.Generator) -> View:
        turn = Orientation()
        if self.has_rotations:
            quarters, flip = (
                torch.randint(4, (), generator=generator),
                torch.randint(2, (), generator=generator),
            )
            turn = Orientation(int(quarters), bool(flip))
        images = turn.apply_to_array(view.images).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            logits = turn.inverse.apply_to_array(teacher(images).float())
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
        """Return the loss of all parts, that at the points included.

        Args:
            logits: The student's (N, C, p, p).
            view: What it was shown.
            at_points: The loss at the points, a scalar.
            gamma: Focusing parameter of the loss at pseudo_labels labels, as at the points.
        """
        loss = self.points * at_points
        logits = logits.float()
        land = self.calibration.apply(logits)
        if self.consistency > 0 and view.teacher_probabilities is not None:
            counted = most_confident(view.teacher_probabilities, view.valid, self.fraction)
            loss = loss + self.consistency * consistency(land, view.teacher_probabilities, counted)
        if self.growing > 0 and view.pseudo_labels is not None:
            is_grown = view.pseudo_labels != UNLABELLED
            total, weight = focal_sums(
                logits.movedim(1, -1)[is_grown], view.pseudo_labels[is_grown], gamma=gamma
            )
            loss = loss + self.growing * total / weight.clamp_min(1)
        if self.affinity > 0:
            loss = loss + self.affinity * self._energy(land, view)
        return loss

    def _energy(self, land: Tensor, view: View) -> Tensor:
        probabilities = functional.avg_pool2d(functional.softmax(land, dim=1), AFFINITY_PX)
        images = functional.avg_pool2d(view.images, AFFINITY_PX)
        valid = functional.avg_pool2d(view.valid.to(images.dtype)[:, None], AFFINITY_PX)[:, 0] > 1 - 1e-3
        return gated_crf(probabilities, images, valid)
