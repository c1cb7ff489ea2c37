"""The training loop: fit a network to points on one or several devices with Lightning Fabric."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch import Tensor

from geoseg.domain.accuracy import accuracy
from geoseg.domain.points import CHECK, TRAIN
from geoseg.domain.ports import Progress
from geoseg.errors import TrainingError
from geoseg.learning.features.patches import batches, plan_epoch, plan_grid_patches, read_ahead
from geoseg.learning.features.reading import FitData, PointFeatures, Reader, context_around
from geoseg.networks.features.batches import TensorBatch, to_tensors
from geoseg.networks.features.extractors import read_logits
from geoseg.networks.features.normalising import normalise
from geoseg.networks.fitting.augmentation import jitter_colors
from geoseg.networks.fitting.checkpoints import Checkpoint, pack_checkpoint
from geoseg.networks.fitting.patch_augmentation import View
from geoseg.networks.fitting.processes import launch_fabric
from geoseg.networks.fitting.unlabelled_losses import UnlabelledLosses
from geoseg.networks.fitting.weight_averaging import MovingAverage
from geoseg.networks.losses.pfce import EPSILON, PatchPoints, focal_sums
from geoseg.networks.losses.point_sampling import read_at_points

if TYPE_CHECKING:
    from lightning_fabric import Fabric


MIN_PATCHES = 64
POLYNOMIAL_POWER = 0.9
WEIGHT_UNITS = 10**9
"""Total weight of the held-out points as an integer, because a confusion matrix holds integers."""


@dataclass(frozen=True)
class FitPlan:
    """Training settings.

    Attributes:
        epochs: Number of epochs.
        patches: Patches per epoch; 0 means one for each patch-sized cell that contains points, and at least 64.
        batch: Patches per step, over all processes.
        patch_px: Side of a patch in pixels.
        gamma: Focusing parameter of pfCE.
        head_rate: Peak learning rate of the head and of other parameters that start at random.
        backbone_rate: Peak learning rate of the pretrained parameters.
        weight_decay: AdamW's decoupled weight decay.
        scale: Maximum scale factor of a patch up or down, >= 1.
        color: Strength of colour augmentation, in standard deviations.
        average: Decay of the exponential moving average of the weights, 0..1; 0 keeps the last weights.
        has_fixed_norms: Whether batch norms use their running statistics in training instead of batch statistics.
        class_weights: Weight of each class in the loss, or None.
        unlabelled_losses: Losses on unlabelled pixels, or None; if given, its strength of colour augmentation
            applies.
        seed: Seed of all random choices in training.
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16".
    """

    epochs: int = 25
    patches: int = 0
    batch: int = 8
    patch_px: int = 256
    gamma: float = 2.0
    head_rate: float = 1e-3
    backbone_rate: float = 1e-4
    weight_decay: float = 1e-2
    scale: float = 1.25
    color: float = 0.2
    average: float = 0.99
    has_fixed_norms: bool = False
    class_weights: tuple[float, ...] | None = None
    unlabelled_losses: UnlabelledLosses | None = None
    seed: int = 0
    device: str = "cpu"
    precision: Literal["float32", "bf16"] = "float32"


@dataclass(frozen=True)
class EpochRecord:
    """Result of an epoch: mean training loss, and the scores at held-out points (NaN if there are none)."""

    epoch: int
    loss: float
    learning_rate: float
    check_loss: float
    check_miou: float
    check_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Fit:
    """Result of a fit: the state of the best epoch, its number, and the records of all epochs."""

    state: Mapping[str, Tensor]
    best_epoch: int
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class InitialState:
    """Initial state of a fit.

    Attributes:
        network: The network; fitting changes it in place.
        parameters: Pretrained parameters, and parameters that start at random and have the higher learning rate; all
            others are frozen.
        resume: A checkpoint of the same plan and data to resume from.
        teacher: A fixed teacher network for the unlabelled losses; None means the moving average of the trained
            network.
    """

    network: torch.nn.Module
    parameters: tuple[Sequence[torch.nn.Parameter], Sequence[torch.nn.Parameter]]
    resume: Checkpoint | None = None
    teacher: torch.nn.Module | None = None


def fit(
    start: InitialState,
    data: FitData,
    plan: FitPlan,
    *,
    progress: Progress,
    after_epoch: Callable[[EpochRecord, Callable[[], bytes]], None] | None = None,
    fabric: Fabric | None = None,
) -> Fit:
    """Fit a network to labelled points with partial focal cross-entropy.

    The result is the moving average of the weights after the best epoch. The best epoch has the highest mean IoU at
    the held-out points (role "check"); without such points it is the last one.

    Args:
        start: The initial state.
        data: Rasters and points.
        plan: The training settings.
        progress: Progress of the training, one step per batch.
        after_epoch: Called after each epoch, in the first process only, with the record and a function that packs a
            checkpoint.
        fabric: The processes that share each step (see :func:`launch_fabric`); None means this process alone. The
            weight of a point does not depend on its process.

    Returns:
        The fitted state, equal in all processes. On one CPU, a resumed fit gives bit-identical results.

    Raises:
        TrainingError: There are no training points, or the loss is no longer finite.
    """
    run = _Run(start, data, plan, fabric=fabric or launch_fabric(plan.device, plan.precision))
    progress.start("Training", plan.epochs * run.steps)
    progress.advance(run.next_epoch * run.steps)
    while run.next_epoch < plan.epochs:
        record = run.epoch(progress)
        if after_epoch is not None and run.fabric.is_global_zero:
            after_epoch(record, run.pack)
    return Fit(run.best_state, run.best_epoch, tuple(run.history))


class _Run:
    """The state of one fit between epochs."""

    def __init__(self, start: InitialState, data: FitData, plan: FitPlan, *, fabric: Fabric) -> None:
        self.plan, self.data, self.fabric = plan, data, fabric
        self.training, self.check = (
            data.points.with_role(TRAIN),
            data.points.with_role(CHECK).with_positive_weight(),
        )
        if not len(self.training):
            raise TrainingError("there is no point to train on", expected="at least one point of role train")
        cells = len(plan_grid_patches(self.training, plan.patch_px))
        self.patches = plan.patches or max(MIN_PATCHES, cells)
        self.steps = -(-self.patches // plan.batch)
        torch.manual_seed(plan.seed)
        rates = (plan.backbone_rate, plan.head_rate)
        groups = [{"params": list(p), "lr": r} for p, r in zip(start.parameters, rates, strict=True) if p]
        optimizer = torch.optim.AdamW(groups, weight_decay=plan.weight_decay, fused=True)
        network = start.network.to(memory_format=torch.channels_last)
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.schedule = torch.optim.lr_scheduler.PolynomialLR(
            self.optimizer, plan.epochs * self.steps, POLYNOMIAL_POWER
        )
        self.average = MovingAverage(network, plan.average)
        self.teacher = start.teacher or self.average.module
        norms = (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
        self.fixed_norms = list(norms) if plan.has_fixed_norms else []
        self.next_epoch, self.history = 0, list[EpochRecord]()
        self.best_epoch, self.best_score = -1, float("-inf")
        self.best_state: Mapping[str, Tensor] = {}
        self._restore(start.resume)

    def epoch(self, progress: Progress) -> EpochRecord:
        """Run the next epoch and score the averaged weights."""
        epoch, started = self.next_epoch, time.monotonic()
        rate = self.optimizer.param_groups[-1]["lr"]
        # Each epoch has its own seed, so that a resumed run draws the same numbers.
        rng = np.random.default_rng([self.plan.seed, epoch])
        torch.manual_seed(int(rng.integers(2**62)) + self.fabric.global_rank)
        losses = [self._step(batch, progress) for batch in self._batches(rng)]
        loss, accuracy_, miou = self._score()
        self.next_epoch += 1
        record = EpochRecord(
            epoch + 1, float(np.mean(losses)), rate, loss, miou, accuracy_, time.monotonic() - started
        )
        self.history.append(record)
        self._keep_best(record)
        return record

    def pack(self) -> bytes:
        """Return a checkpoint as bytes."""
        return pack_checkpoint(
            Checkpoint(
                epoch=self.next_epoch,
                network=self.network.module.state_dict(),
                average=self.average.state(),
                optimizer=self.optimizer.state_dict(),
                schedule=self.schedule.state_dict(),
                best_epoch=self.best_epoch,
                best_score=self.best_score,
                best_state=dict(self.best_state),
                history=[vars(r) for r in self.history],
            )
        )

    def _restore(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            return
        self.network.module.load_state_dict(checkpoint.network)
        self.average.restore(checkpoint.average)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.schedule.load_state_dict(checkpoint.schedule)
        self.next_epoch = checkpoint.epoch
        self.best_epoch, self.best_score = checkpoint.best_epoch, checkpoint.best_score
        self.best_state = checkpoint.best_state
        self.history = [EpochRecord(**r) for r in checkpoint.history]

    def _batches(self, rng: np.random.Generator) -> Iterator[TensorBatch]:
        plans = plan_epoch(
            self.training,
            self.data.sizes,
            patches=self.patches,
            patch_px=self.plan.patch_px,
            scale=self.plan.scale,
            rng=rng,
        )
        rank, world = self.fabric.global_rank, self.fabric.world_size
        steps = list(batches(plans, self.plan.batch))
        # If the last step has fewer patches than processes, idle processes get a patch with point weights of 0.
        shares = [step[rank::world] or step[:1] for step in steps]
        read = read_ahead(shares, self.data.sources, self.training, patch_px=self.plan.patch_px)
        for step, batch in zip(steps, read, strict=True):
            own = batch if rank < len(step) else replace(batch, points=batch.points.with_zero_weights())
            yield to_tensors(own)

    def _step(self, batch: TensorBatch, progress: Progress) -> float:
        plan = self.plan
        self.network.train()
        for norm in self.fixed_norms:
            norm.eval()
        valid = self.fabric.to_device(batch.valid)
        images = normalise(self.fabric.to_device(batch.pixels), valid, self.data.normalisation)
        view = self._augment(View(images, valid, batch.points.to(self.fabric.device)), batch.images)
        logits = self.network(view.images.to(memory_format=torch.channels_last))
        total, weight = _sums(logits, view.points, plan)
        # Gradients are averaged over processes, so the weight is averaged too.
        loss = total / (self._mean(weight) + EPSILON)
        if plan.unlabelled_losses is not None:
            loss = plan.unlabelled_losses.loss(logits, view, loss, gamma=plan.gamma)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        self.average.update(self.network.module)
        value = float(self._mean(loss))
        if not np.isfinite(value):
            raise TrainingError(
                "the loss is no longer finite",
                where=f"epoch {self.next_epoch + 1}",
                got=value,
                hint="Lower the learning rates, or resume from an earlier checkpoint.",
            )
        progress.advance(1, f"epoch {self.next_epoch + 1}/{plan.epochs}, loss {value:.3f}")
        return value

    def _augment(self, view: View, images_of: Sequence[str]) -> View:
        """Return the augmented view of patches of these images."""
        draw = torch.default_generator
        if self.plan.unlabelled_losses is None:
            images = jitter_colors(view.images, view.valid, strength=self.plan.color, generator=draw)
            return replace(view, images=images)
        absent = self.plan.unlabelled_losses.absent_in(images_of)
        if absent is not None:
            view = replace(view, absent=absent.to(self.fabric.device))
        with self.fabric.autocast():
            return self.plan.unlabelled_losses.augment(view, self.teacher, draw)

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over the processes."""
        return cast(Tensor, self.fabric.all_reduce(value.detach(), reduce_op="mean"))

    def _score(self) -> tuple[float, float, float]:
        """Return loss, overall accuracy and mean IoU of the averaged weights on the held-out points."""
        if not len(self.check):
            return float("nan"), float("nan"), float("nan")
        patch_px = self.plan.patch_px
        reader = Reader(patch_px, context_around(patch_px), self.plan.batch)
        read = read_logits(self.average.module, self.check, self.data, reader=reader)
        return weighted_scores(read, self.data.classes)

    def _best_loss(self) -> float:
        """Return the held-out loss of the best epoch, which breaks ties: with few points, scores are often equal."""
        return self.history[self.best_epoch - 1].check_loss if self.best_epoch > 0 else float("inf")

    def _keep_best(self, record: EpochRecord) -> None:
        score = record.check_miou if len(self.check) else float(record.epoch)
        if (score, -record.check_loss) > (self.best_score, -self._best_loss()):
            self.best_epoch, self.best_score = record.epoch, score
            state = self.average.module.state_dict()
            self.best_state = {n: t.detach().cpu().clone() for n, t in state.items()}


def weighted_scores(read: PointFeatures, classes: int) -> tuple[float, float, float]:
    """Return weighted cross-entropy in nats, overall accuracy and mean IoU.

    Args:
        read: Logits (P, C) at labelled points with a positive total weight.
        classes: C.
    """
    logits, label, weight = (torch.from_numpy(a.copy()) for a in (read.values, read.label, read.weight))
    total, weight_sum = focal_sums(logits, label, weight, gamma=0.0)
    shares = np.zeros((classes, classes))
    np.add.at(shares, (read.label, read.values.argmax(axis=1)), read.weight.astype(np.float64))
    scores = accuracy(np.round(shares / float(weight_sum) * WEIGHT_UNITS).astype(np.int64))
    return float(total / weight_sum), scores.overall_accuracy, scores.miou


def _sums(logits: Tensor, points: PatchPoints, plan: FitPlan) -> tuple[Tensor, Tensor]:
    size = (plan.patch_px, plan.patch_px)
    at_points = read_at_points(logits, index=points.index, row=points.row, col=points.col, size=size)
    weights = None if plan.class_weights is None else at_points.new_tensor(plan.class_weights)
    return focal_sums(at_points, points.label, points.weight, gamma=plan.gamma, class_weights=weights)
