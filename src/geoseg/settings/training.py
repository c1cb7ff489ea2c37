"""How a model is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from geoseg.settings.base import (
    Count,
    Device,
    MaskValues,
    Nodata,
    PointFileSettings,
    Precision,
    Seed,
    Settings,
    Share,
)

Part = Literal["self-training", "mean-teacher", "turns", "cutmix", "thresholds", "growing", "affinity"]
BACKBONES = ("resnet50", "resnet101", "mobilenet_v3_large")
"""Those that every recipe takes."""


def _pair(value: object) -> object:
    """Read a pair of bands from text such as 4-1."""
    if isinstance(value, str) and not re.fullmatch(r"\d+-\d+", value):
        raise ValueError("expected two bands and a hyphen, such as 4-1")
    return value.split("-") if isinstance(value, str) else value


def _of_two(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] == value[1]:
        raise ValueError("expected two bands that differ, such as 4-1")
    return value


Index = Annotated[tuple[Count, Count], BeforeValidator(_pair), AfterValidator(_of_two)]
DEFAULT_PARTS: tuple[Part, ...] = ("self-training", "cutmix", "affinity")


class TrainSettings(PointFileSettings):
    """Train a model from points.

    Attributes:
        data: A raster, or a folder of ``images/`` with split lists.
        points: Point file; None only for the recipe "full".
        output: Model file to write.
        split: Which images of a folder to train on.
        recipe: How to train; "auto" tries "quick", "forest" and, where ``minutes`` suffice, "deep", and keeps the best one, "pfce" is DeepLabV3 with
            partial focal cross-entropy, "quick" a linear head on layers of the frozen backbone, "forest" a random forest on colour and texture,
            "full" the network of "pfce" on all labels of the masks, as a ceiling, "deep" starts from "quick" and fine-tunes.
        minutes: How long "auto" may take; "deep" is tried, and done, where about that fits.
        backbone: The network's backbone: resnet50, resnet101, mobilenet_v3_large, or for "quick" and "deep" the name that
            timm has for a convolutional network.
        output_stride: Pixels per cell of the logits; 8 is finer, 16 about three times faster.
        weights: "imagenet", "coco", "none", or the path of a weights file.
        block_style: Where the ResNet of the weights strides; "caffe" for weights derived from He et al.'s.
        head_start: Whether the head starts from a linear probe of the backbone's features, and batch
            norms keep their statistics. Without it, rates ten times higher suit.
        enlarge: Up to how many times "quick" enlarges the image; 1 reads it as it is, a fifth of the pixels,
            2 reads it enlarged as well and maps finer.
        views: In how many turns and flips "quick" reads the points, 1..8; the fit then does not hold on to what they change.
        texture: Whether "quick" reads colour and texture of all bands beside the backbone, which then takes the first
            three alone; None: where there are more than three bands, or indices, and weights that are pretrained.
        cache: Folder where "quick" keeps the features of points for the next training; None: geoseg/features in the
            user's cache folder.
        keep_features: Whether it keeps them.
        cache_gib: Gibibytes that this folder may take; the features that were not used for longest go first.
        prior: Where the classes' shares on the land come from: "em" (estimated on unlabelled pixels),
            "none" (not corrected), "name=share,..." (stated), or a point file drawn at random.
        bands: Bands to use, from 1; None takes all.
        indices: Pairs of these bands whose normalised differences join them, (4, 1) or "4-1" for (band 4 - band 1) / (band 4 + band 1).
        nodata: A pixel value that stands for no data, in addition to the one that a raster declares.
        strict_nodata: Whether nodata in one of the bands makes a pixel invalid; else it must be in all of them.
        any_values: Whether rasters whose values are on different scales may be trained on together.
        legend: Legend file.
        mask_values: Class names by the value that masks have for them, for "full".
        check_share: Share of each class's points held out to choose the epoch.
        check_points: Point file to choose the epoch by, instead of a share.
        epochs: Epochs; None: 25 of "pfce", 12 of "deep".
        patches: Patches an epoch; 0: as many as patch-sized cells hold points, 64 at least, and 24 of "deep".
        batch: Patches a step; None: 8, and 4 of "deep".
        patch: Side of a patch in pixels, a multiple of 32.
        gamma: Focusing parameter of the loss.
        head_rate: Peak learning rate of the head, and of stages that start at random; None: 1e-4.
        backbone_rate: Peak learning rate of pretrained stages; None: 1e-5 for "pfce", 1e-4 for "deep".
        parts: What teaches "deep" beside the points.
        absent: Whether a class without a point in an image is absent there: true of points drawn from masks image by
            image, not of a person's. "deep" then never teaches it there.
        seed: Seed of the fit.
        device: Where to compute.
        precision: In what to compute.
        processes: Processes (or GPUs) of this machine that share each step of "pfce" or "full".
        resume: Whether to go on from the last checkpoint.
        overwrite: Whether an existing output may be replaced.
    """

    arguments = frozenset({"data"})

    data: Path
    output: Path
    points: Path | None = None
    split: str = "train"
    recipe: Literal["auto", "pfce", "quick", "deep", "forest", "full"] = "auto"
    minutes: Annotated[float, Field(ge=0)] = 20.0
    backbone: Annotated[str, Field(pattern=r"^\w[\w.]*$")] = "resnet50"
    output_stride: Literal[8, 16] = 8
    weights: str = "imagenet"
    block_style: Literal["pytorch", "caffe"] = "pytorch"
    head_start: bool = True
    enlarge: Literal[1, 2] = 2
    views: Annotated[int, Field(ge=1, le=8)] = 4
    texture: bool | None = None
    cache: Path | None = None
    keep_features: bool = True
    cache_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    prior: str = "em"
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    indices: tuple[Index, ...] = ()
    nodata: Nodata = None
    strict_nodata: bool = False
    any_values: bool = False
    legend: Path | None = None
    mask_values: MaskValues = None
    check_share: Share = 0.2
    check_points: Path | None = None
    epochs: Count | None = None
    patches: Annotated[int, Field(ge=0)] = 0
    batch: Count | None = None
    patch: Annotated[int, Field(ge=64, multiple_of=32)] = 256
    gamma: Annotated[float, Field(ge=0)] = 2.0
    head_rate: Annotated[float, Field(gt=0)] | None = None
    backbone_rate: Annotated[float, Field(gt=0)] | None = None
    parts: tuple[Part, ...] = DEFAULT_PARTS
    absent: bool = False
    seed: Seed = 0
    device: Device = "auto"
    precision: Precision = "auto"
    processes: Count = 1
    resume: bool = False
    overwrite: bool = False

    @model_validator(mode="after")
    def _points_fit_recipe(self) -> Self:
        if self.points is None and self.recipe != "full":
            raise ValueError("--points is needed, except with --recipe full")
        if self.points is not None and self.recipe == "full":
            raise ValueError("--recipe full takes all labels of the masks, and no --points")
        return self

    @model_validator(mode="after")
    def _backbone_fits_recipe(self) -> Self:
        if self.recipe in ("pfce", "full") and self.backbone not in BACKBONES:
            raise ValueError(
                f"--recipe {self.recipe} takes --backbone {', '.join(BACKBONES)}; {self.backbone} is for quick and deep"
            )
        return self

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        teachers = {"self-training", "mean-teacher"} & set(self.parts)
        if len(teachers) > 1:
            raise ValueError("--parts takes one teacher, self-training or mean-teacher")
        if not teachers and (needing := {"turns", "thresholds"} & set(self.parts)):
            raise ValueError(f"--parts {', '.join(sorted(needing))} needs self-training or mean-teacher")
        return self


class TrainingOptions(Settings):
    """What all trainings of an experiment share; as in :class:`TrainSettings`.

    Attributes:
        backbone: The network's backbone.
        output_stride: Pixels per cell of the logits.
        weights: "imagenet", "coco", "none", or a path.
        block_style: Where the ResNet of the weights strides.
        head_start: Whether heads start from a linear probe.
        enlarge: Up to how many times "quick" enlarges the image.
        views: In how many turns and flips "quick" reads the points.
        texture: Whether "quick" reads colour and texture of all bands beside the backbone; None as there.
        prior: Where the classes' shares on the land come from.
        bands: Bands to use, from 1; None takes all.
        indices: Pairs of these bands whose normalised differences join them.
        nodata: A pixel value that stands for no data, in addition to the one that a raster declares.
        strict_nodata: Whether nodata in one of the bands makes a pixel invalid.
        any_values: Whether rasters whose values are on different scales may be used together.
        check_share: Share of the points that "pfce" holds out.
        epochs: Epochs; None: 25 of "pfce", 12 of "deep".
        patches: Patches an epoch; 0 chooses by how far the points spread.
        batch: Patches a step.
        patch: Side of a patch in pixels.
        head_rate: Peak learning rate of the head.
        backbone_rate: Peak learning rate of pretrained stages.
        parts: What teaches "deep" beside the points.
        device: Where to compute.
        precision: In what to compute.
    """

    backbone: Annotated[str, Field(pattern=r"^\w[\w.]*$")] = "resnet50"
    output_stride: Literal[8, 16] = 8
    weights: str = "imagenet"
    block_style: Literal["pytorch", "caffe"] = "pytorch"
    head_start: bool = True
    enlarge: Literal[1, 2] = 2
    views: Annotated[int, Field(ge=1, le=8)] = 4
    texture: bool | None = None
    prior: str = "em"
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    indices: tuple[Index, ...] = ()
    nodata: Nodata = None
    strict_nodata: bool = False
    any_values: bool = False
    check_share: Share = 0.2
    epochs: Count | None = None
    patches: Annotated[int, Field(ge=0)] = 0
    batch: Count | None = None
    patch: Annotated[int, Field(ge=64, multiple_of=32)] = 256
    head_rate: Annotated[float, Field(gt=0)] | None = None
    backbone_rate: Annotated[float, Field(gt=0)] | None = None
    parts: tuple[Part, ...] = DEFAULT_PARTS
    device: Device = "auto"
    precision: Precision = "auto"
