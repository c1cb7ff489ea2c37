"""Settings for training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from geoseg.learning.architecture import BACKBONES, LIGHT_BACKBONE
from geoseg.settings.base import (
    ComputeSettings,
    Count,
    FeatureSettings,
    MaskValues,
    Nodata,
    PointFileSettings,
    Seed,
    Share,
    Stack,
    option,
    with_stack,
)

Loss = Literal[
    "self-training", "mean-teacher", "rotations", "cutmix", "class-thresholds", "region-growing", "affinity"
]
Speed = Literal["fast", "balanced", "best"]
_SPEEDS: Mapping[Speed, tuple[int, int]] = {"fast": (1, 4), "balanced": (2, 4), "best": (2, 8)}
"""Scales and augmentations. Chosen with benchmarks/pareto.py."""
_DEEPLAB_RECIPES = ("pfce", "full")
_TEACHERS = {"self-training", "mean-teacher"}


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


def _none(value: object) -> object:
    return () if value in ("none", ["none"], ("none",)) else value


class TrainingOptions(ComputeSettings):
    """Training options of the commands train and experiment."""

    # The network and its weights
    backbone: Annotated[str, Field(pattern=r"^\w[\w.]*$")] | None = option(
        None,
        help="resnet50, resnet101 or mobilenet_v3_large; for quick and deep also efficientnet_lite0 (small and fast), or "
        "a convolutional network of timm, such as convnext_tiny.",
        panel="Network",
        shown="efficientnet_lite0; resnet50 for pfce, full and weights of a file",
    )
    weights: str | None = option(
        None,
        help="Pretrained weights: bundled (of efficientnet_lite0, nothing is downloaded), imagenet, coco, none, or the "
        "path of a .safetensors or .pth file.",
        panel="Network",
        shown="bundled; imagenet for other backbones",
    )
    block_style: Literal["pytorch", "caffe"] = option(
        "pytorch",
        help="Position of the stride in ResNet blocks; use caffe for weights converted from those of He et al.",
        panel="Network",
    )
    output_stride: Literal[8, 16] = option(
        8, help="Pixels per cell of the logits; 16 is about three times faster, 8 is finer.", panel="Network"
    )
    # The rasters
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = option(
        None, help="Bands to use, from 1, such as 1,2,3.", panel="Rasters", shown="all"
    )
    indices: tuple[Index, ...] = option(
        (),
        help="Spectral indices to add to the bands, as normalised differences: 4-1,2-4 for NDVI and NDWI of red, "
        "green, blue, near infrared.",
        panel="Rasters",
        shown="none",
    )
    nodata: Nodata = None
    strict_nodata: bool = option(
        False,
        help="Treat a pixel as invalid if any of its bands is nodata, instead of only if all are.",
        panel="Rasters",
    )
    any_values: bool = option(
        False, help="Accept rasters whose pixel values have different ranges.", panel="Rasters"
    )
    # The class prior and the validation points
    prior: str = option(
        "em",
        help="Class proportions of the mapped area: em (estimated from unlabelled pixels), none (no correction), "
        "NAME=SHARE,... (stated), or a file of points drawn at random.",
        panel="Validation and class prior",
    )
    check_share: Share = option(
        0.2,
        help="Share of the points to hold out as validation points.",
        panel="Validation and class prior",
    )
    # quick, and the start of deep
    speed: Speed = option(
        "balanced",
        help="fast maps and trains in about half of the time, best trains longer; both set the scales and augmentations.",
        panel="Recipe quick",
    )
    scales: Literal[1, 2] | None = option(
        None,
        help="Image scales for the features: 1 (original size) or 2 (also double size: finer but slower).",
        panel="Recipe quick",
        shown="2; 1 with --speed fast",
    )
    augmentations: Annotated[int, Field(ge=1, le=8)] | None = option(
        None,
        help="Number of rotations and flips in which the points are read, 1 to 8.",
        panel="Recipe quick",
        shown="4; 8 with --speed best",
    )
    texture: bool | None = option(
        None,
        help="Add colour and texture of all bands; the backbone then takes the first three bands only.",
        panel="Recipe quick",
        shown="with more than three bands, or indices",
    )
    # pfce and deep
    epochs: Count | None = option(
        None, help="Epochs.", panel="Recipes pfce and deep", shown="25 for pfce, 12 for deep"
    )
    patch: Annotated[int, Field(ge=64, multiple_of=32)] = option(
        256, help="Side of a training patch in pixels, a multiple of 32.", panel="Recipes pfce and deep"
    )
    patches: Annotated[int, Field(ge=0)] = option(
        0,
        help="Patches per epoch; 0: one for each patch-sized cell with points, at least 64; for deep 24.",
        panel="Recipes pfce and deep",
    )
    batch: Count | None = option(
        None, help="Patches per step.", panel="Recipes pfce and deep", shown="8 for pfce, 4 for deep"
    )
    head_start: bool = option(
        True,
        help="Initialise the head of pfce by a linear probe, and freeze batch-norm statistics. Without it, use learning "
        "rates ten times higher.",
        panel="Recipes pfce and deep",
    )
    head_rate: Annotated[float, Field(gt=0)] | None = option(
        None,
        help="Peak learning rate of the head, and of stages without pretrained weights.",
        panel="Recipes pfce and deep",
        shown="1e-4",
    )
    backbone_rate: Annotated[float, Field(gt=0)] | None = option(
        None,
        help="Peak learning rate of the pretrained stages.",
        panel="Recipes pfce and deep",
        shown="1e-5 for pfce, 1e-4 for deep",
    )
    losses: Annotated[tuple[Loss, ...], BeforeValidator(_none)] = option(
        ("self-training", "cutmix", "affinity"),
        help="Losses of deep on unlabelled pixels, or none: self-training or mean-teacher, rotations, cutmix, "
        "class-thresholds, region-growing, affinity.",
        panel="Recipes pfce and deep",
    )

    @property
    def image_scales(self) -> tuple[int, ...]:
        """Scale factors of the images for the features of quick and deep."""
        return (1, 2)[: self.scales or _SPEEDS[self.speed][0]]

    @property
    def views(self) -> int:
        """Number of rotations and flips in which quick and deep read the points."""
        return self.augmentations or _SPEEDS[self.speed][1]

    @model_validator(mode="after")
    def _losses_fit_together(self) -> Self:
        teachers = _TEACHERS & set(self.losses)
        if len(teachers) > 1:
            raise ValueError("only one teacher can be used: self-training or mean-teacher")
        if not teachers and (needing := {"rotations", "class-thresholds"} & set(self.losses)):
            raise ValueError(f"losses: {', '.join(sorted(needing))} needs self-training or mean-teacher")
        return self


class Network(NamedTuple):
    """Backbone of a training, and where its weights come from."""

    backbone: str
    weights: str


class TrainSettings(TrainingOptions, PointFileSettings, FeatureSettings):
    """Train a model from points."""

    arguments = frozenset({"data"})

    data: Path = option(
        help="A raster, a folder of rasters, a folder with images/ and split lists, or a text file that lists the files of "
        "a stack."
    )
    points: Path | None = option(
        None,
        help="Point file: GeoPackage, Shapefile, CSV, KML or another format of GDAL; polygons are sampled. Required, "
        "except with --recipe full.",
    )
    output: Path = option(help="Model file to write, such as model.geoseg.")
    recipe: Literal["auto", "pfce", "quick", "deep", "forest", "full"] = option(
        "auto",
        help="How to train: auto (tries quick, forest and, if time allows, deep, and keeps the best), quick (linear head "
        "on a frozen backbone, minutes), deep (quick, then fine-tuned), forest (random forest, no network), pfce "
        "(DeepLabV3 with partial focal cross-entropy), full (DeepLabV3 on all labels of the masks: the ceiling).",
    )
    minutes: Annotated[float, Field(ge=0)] = option(
        20.0, help="Time limit of auto in minutes; it tries deep only within this limit."
    )
    check_points: Path | None = option(
        None, help="Point file with validation points, instead of a share of the points."
    )
    resume: bool = option(False, help="Continue a stopped training from its last checkpoint.")
    overwrite: bool = option(False, help="Replace an existing model file.")
    split: str = option("train", help="Split list of the folder to train on.", panel="Rasters")
    stack: Stack = ()
    legend: Path | None = option(None, help="Legend file (JSON).", panel="Rasters")
    mask_values: MaskValues = option(
        None,
        help="Class of each value of the masks, for full: 255=water,0=unlabelled or #ff0000=roof.",
        panel="Rasters",
    )
    gamma: Annotated[float, Field(ge=0)] = option(
        2.0,
        help="Focusing parameter of the focal loss; 0 is cross-entropy.",
        panel="Recipes pfce and deep",
    )
    absent_classes: bool = option(
        False,
        help="For deep: treat a class without points in an image as absent from that image. Suits points drawn from masks, "
        "not points from a person.",
        panel="Recipes pfce and deep",
    )
    cache: Path | None = option(
        None,
        help="Folder of the feature cache.",
        panel="Feature cache",
        shown="~/.cache/geoseg/features",
    )
    keep_features: bool = option(
        True,
        help="Cache features, so that the next training computes only those of new points.",
        panel="Feature cache",
    )
    cache_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] = option(
        2.0,
        help="Maximum size of the cache in GiB; the least recently used features are removed first.",
        panel="Feature cache",
    )
    seed: Seed = option(0, help="Random seed; the same seed gives the same result.", panel="Computing")
    processes: Count = option(
        1, help="Processes or GPUs of this machine that share the work of pfce or full.", panel="Computing"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_stack(cls, values: Any) -> Any:
        return with_stack(values, "data")

    @model_validator(mode="after")
    def _points_fit_recipe(self) -> Self:
        if self.points is None and self.recipe != "full":
            raise ValueError("points are required, except with recipe full")
        if self.points is not None and self.recipe == "full":
            raise ValueError("recipe full uses all labels of the masks, so points cannot be given")
        return self

    @model_validator(mode="after")
    def _features_have_their_recipe(self) -> Self:
        if self.input == "features" and self.recipe != "auto":
            raise ValueError(
                f"rasters of features are classified by --head; recipe {self.recipe} is for images"
            )
        if self.input == "features" and self.indices:
            raise ValueError("spectral indices are for images; features are used as they are")
        if self.head != "auto" and (self.input == "image" or self.recipe != "auto"):
            raise ValueError(f"head {self.head} is for rasters of features (input features, recipe auto)")
        return self

    @model_validator(mode="after")
    def _backbone_fits_recipe(self) -> Self:
        if self.recipe in _DEEPLAB_RECIPES and self.network.backbone not in BACKBONES:
            raise ValueError(
                f"recipe {self.recipe} takes a backbone of {', '.join(BACKBONES)}; {self.backbone} is for quick and deep"
            )
        return self

    @property
    def network(self) -> Network:
        """Backbone and weights, with the defaults of the recipe."""
        is_light = self.recipe not in _DEEPLAB_RECIPES and self.weights in (None, "bundled", "none")
        backbone = self.backbone or (LIGHT_BACKBONE if is_light else BACKBONES[0])
        return Network(backbone, self.weights or ("bundled" if backbone == LIGHT_BACKBONE else "imagenet"))
