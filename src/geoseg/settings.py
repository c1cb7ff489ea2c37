"""Validated settings of each verb, read once at the door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geoseg.errors import SettingsError

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]


class Settings(BaseModel):
    """What all settings share: frozen, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(Settings):
    """How a person who labels is simulated.

    Attributes:
        scope: What N points per class count for; None: "tile" when ``tile`` is given, else "image".
        tile: Side of a tile in pixels.
        places: Where a point may lie: any "pixel" of its class; "component" gives each connected component the
            same chance; "interior" keeps ``margin`` from other classes; "centre" is the middle of a component.
        margin: Distance of "interior" from the edge of the class, in pixels.
        jitter: How far a "centre" may be missed, in pixels, without leaving the class.
        location_error: How far points lie from where they should, 1 to this many pixels; 0 for exact ones.
        wrong_share: Share of the points with the label of another class.
    """

    scope: Literal["tile", "image", "total"] | None = None
    tile: Annotated[int, Field(ge=8)] | None = None
    places: Literal["pixel", "component", "interior", "centre"] = "pixel"
    margin: Annotated[int, Field(ge=1, le=100)] = 3
    jitter: Annotated[float, Field(ge=0, le=100)] = 2.0
    location_error: Annotated[float, Field(ge=0, le=100)] = 0.0
    wrong_share: Share = 0.0


class SampleSettings(Protocol):
    """Draw points from the masks of a dataset, as a protocol says.

    Attributes:
        data: Folder of ``images/`` and ``masks/``.
        output: Point file to write (.gpkg, .geojson, .csv).
        split: Name of the list of images (``train`` reads ``train.txt``); None takes all images.
        per_class: N, the points per class and per tile, image or in total.
        seed: Seed of the draw.
        legend: Legend file, when the folder has none.
        overwrite: Whether an existing output may be replaced.
    """

    data: Path
    output: Path
    split: str | None = None
    per_class: Count = 10
    seed: Seed = 0
    legend: Path | None = None
    overwrite: bool = False

    @model_validator(mode="after")
    def _scope_fits_tile(self) -> Self:
        if self.tile is not None and self.scope not in (None, "tile"):
            raise ValueError(f"--tile goes with --scope tile, not with --scope {self.scope}")
        return self


class TrainSettings(Settings):
    """Train a model from points.

    Attributes:
        data: A raster, or a folder of ``images/`` with split lists.
        points: Point file; None only for the recipe "full".
        output: Model file to write.
        split: Which images of a folder to train on.
        recipe: How to train; "pfce" is DeepLabV3 with partial focal cross-entropy, "quick" a linear
            head on layers of the frozen backbone, "forest" a random forest on colour and texture,
            "full" the network of "pfce" on all labels of the masks, as a ceiling.
        backbone: The network's backbone.
        output_stride: Pixels per cell of the logits; 8 is finer, 16 about three times faster.
        weights: "imagenet", "coco", "none", or the path of a weights file.
        block_style: Where the ResNet of the weights strides; "caffe" for weights derived from He et al.'s.
        head_start: Whether the head starts from a linear probe of the backbone's features, and batch
            norms keep their statistics. Without it, rates ten times higher suit.
        enlarge: How many times "quick" enlarges the image; 1 is four times faster, 2 maps finer.
        prior: Where the classes' shares on the land come from: "em" (estimated on unlabelled pixels),
            "none" (not corrected), "name=share,..." (stated), or a point file drawn at random.
        bands: Bands to use, from 1; None takes all.
        class_column: Column of the point file that holds the class.
        legend: Legend file.
        check_share: Share of each class's points held out to choose the epoch.
        check_points: Point file to choose the epoch by, instead of a share.
        epochs: Epochs.
        patches: Patches an epoch; 0 chooses by how far the points spread.
        batch: Patches a step.
        patch: Side of a patch in pixels, a multiple of 32.
        gamma: Focusing parameter of the loss.
        head_rate: Peak learning rate of the head, and of stages that start at random.
        backbone_rate: Peak learning rate of pretrained stages.
        seed: Seed of the fit.
        device: Where to compute.
        precision: In what to compute.
        processes: Processes (or GPUs) to share the work.
        resume: Whether to go on from the last checkpoint.
        overwrite: Whether an existing output may be replaced.
    """

    data: Path
    output: Path
    points: Path | None = None
    split: str = "train"
    recipe: Literal["pfce", "quick", "forest", "full"] = "pfce"
    backbone: Literal["resnet50", "resnet101", "mobilenet_v3_large"] = "resnet50"
    output_stride: Literal[8, 16] = 8
    weights: str = "imagenet"
    block_style: Literal["pytorch", "caffe"] = "pytorch"
    head_start: bool = True
    enlarge: Literal[1, 2] = 2
    prior: str = "em"
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    class_column: str | None = None
    legend: Path | None = None
    check_share: Share = 0.2
    check_points: Path | None = None
    epochs: Count = 25
    patches: Annotated[int, Field(ge=0)] = 0
    batch: Count = 8
    patch: Annotated[int, Field(ge=64, multiple_of=32)] = 256
    gamma: Annotated[float, Field(ge=0)] = 2.0
    head_rate: Annotated[float, Field(gt=0)] = 1e-4
    backbone_rate: Annotated[float, Field(gt=0)] = 1e-5
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


class PredictSettings(Settings):
    """Predict class maps.

    Attributes:
        model: Model file.
        rasters: Rasters to predict.
        output: Class map to write, or a folder when there are several rasters.
        confidence: Confidence raster to write too, or a folder likewise.
        window: Side of the windows in pixels; more is read around them.
        batch: Windows predicted together.
        output_stride: Pixels per cell of the logits, if not as trained.
        resample: Whether to compute at the model's ground resolution.
        area: Polygon file; pixels outside become nodata.
        device: Where to compute.
        precision: In what to compute.
        overwrite: Whether existing outputs may be replaced.
    """

    model: Path
    rasters: Annotated[tuple[Path, ...], Field(min_length=1)]
    output: Path
    confidence: Path | None = None
    window: Annotated[int, Field(ge=32, le=8192)] = 512
    batch: Count = 1
    output_stride: Literal[8, 16] | None = None
    resample: bool = False
    area: Path | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    overwrite: bool = False


class EvaluateSettings(Settings):
    """Score a class map or a model.

    Attributes:
        subject: A class map or a model file.
        data: For a model: a dataset folder with masks, or a raster when ``points`` are given.
        split: Which images of the folder.
        truth: For a class map: the mask to compare with.
        points: Point file to compare with instead of masks.
        role: Which points of the file count: all, or those held out ("check").
        class_column: Column of the point file that holds the class.
        legend: Legend file, when neither the map nor the folder has one.
        picture: Confusion-matrix picture to write (.png).
        window: Side of the windows in pixels.
        output_stride: Pixels per cell of the logits, if not as trained.
        device: Where to compute.
        precision: In what to compute.
        overwrite: Whether an existing picture may be replaced.
    """

    subject: Path
    data: Path | None = None
    split: str | None = "test"
    truth: Path | None = None
    points: Path | None = None
    role: Literal["all", "train", "check"] = "all"
    class_column: str | None = None
    legend: Path | None = None
    picture: Path | None = None
    window: Annotated[int, Field(ge=32, le=8192)] = 512
    output_stride: Literal[8, 16] | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    overwrite: bool = False


ExperimentRecipe = Literal["forest", "partial-ce", "pfce", "quick", "full"]


class TrainingOptions(Settings):
    """What all trainings of an experiment share; as in :class:`TrainSettings`.

    Attributes:
        backbone: The network's backbone.
        output_stride: Pixels per cell of the logits.
        weights: "imagenet", "coco", "none", or a path.
        block_style: Where the ResNet of the weights strides.
        head_start: Whether heads start from a linear probe.
        enlarge: How many times "quick" enlarges the image.
        prior: Where the classes' shares on the land come from.
        bands: Bands to use, from 1; None takes all.
        check_share: Share of the points that "pfce" holds out.
        epochs: Epochs.
        patches: Patches an epoch; 0 chooses by how far the points spread.
        batch: Patches a step.
        patch: Side of a patch in pixels.
        head_rate: Peak learning rate of the head.
        backbone_rate: Peak learning rate of pretrained stages.
        device: Where to compute.
        precision: In what to compute.
    """

    backbone: Literal["resnet50", "resnet101", "mobilenet_v3_large"] = "resnet50"
    output_stride: Literal[8, 16] = 8
    weights: str = "imagenet"
    block_style: Literal["pytorch", "caffe"] = "pytorch"
    head_start: bool = True
    enlarge: Literal[1, 2] = 2
    prior: str = "em"
    bands: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    check_share: Share = 0.2
    epochs: Count = 25
    patches: Annotated[int, Field(ge=0)] = 0
    batch: Count = 8
    patch: Annotated[int, Field(ge=64, multiple_of=32)] = 256
    head_rate: Annotated[float, Field(gt=0)] = 1e-4
    backbone_rate: Annotated[float, Field(gt=0)] = 1e-5
    device: Device = "auto"
    precision: Precision = "auto"


class PictureSettings(Settings):
    """Draw maps beside their images and the truth.

    Attributes:
        data: Folder of ``images/`` and, where there are any, ``masks/``.
        maps: Folders of class maps, named as the images, as ``predict`` writes them.
        output: Picture to write (.png).
        split: Name of the list of images; None takes all.
        rows: Images to draw at most.
        title: Line above all.
        legend: Legend file, when the folder has none.
        overwrite: Whether an existing picture may be replaced.
    """

    data: Path
    maps: Annotated[tuple[Path, ...], Field(min_length=1)]
    output: Path
    split: str | None = None
    rows: Count = 5
    title: str = ""
    legend: Path | None = None
    overwrite: bool = False


class ExperimentSettings(Settings):
    """Compare recipes and budgets on a dataset.

    Attributes:
        data: Folder of ``images/``, ``masks/``, split lists and a legend.
        output: Folder of results; what is there already is not computed again.
        recipes: What to compare: "forest", "partial-ce" (pfCE with gamma 0), "pfce", "quick", "full".
        per_class: Budgets: points per class, one run each.
        seeds: Draws of the points, 0, 1, 2 ...; "full" has no points and runs once.
        protocol: How the points are drawn.
        train_split: Which images to train on.
        test_split: Which images to score on.
        background: Class left out of the second mean IoU; None: "background" if there is one.
        training: Settings of every training.
        keep_models: Whether to keep the model files.
    """

    data: Path
    output: Path
    recipes: Annotated[tuple[ExperimentRecipe, ...], Field(min_length=1)] = ("forest", "quick", "pfce")
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 50)
    seeds: Count = 3
    protocol: Protocol = Protocol()
    train_split: str = "train"
    test_split: str = "test"
    background: str | None = None
    training: TrainingOptions = TrainingOptions()
    keep_models: bool = False


class LandCoverSettings(Settings):
    """Fetch LandCover.ai v1.

    Attributes:
        output: Folder to make.
        archive: Its zip, if it is on this disk already.
        url: Where to download it from.
    """

    output: Path
    archive: Path | None = None
    url: str = "https://landcover.ai.linuxpolska.com/download/landcover.ai.v1.zip"


class DemoSettings(Settings):
    """Run the main job on invented landscapes.

    Attributes:
        output: Folder to write to.
        seed: Seed of the landscapes, the points and the fit.
        size: Side of each landscape in pixels.
        images: Landscapes to train on; one more is held out.
        per_class: Budgets: points per class and image, one run each.
        epochs: Epochs of each run.
        patches: Patches an epoch.
        overwrite: Whether an earlier demo in the folder may be replaced.
    """

    output: Path = Path("demo-results")
    seed: Seed = 0
    size: Annotated[int, Field(ge=256, multiple_of=32)] = 1024
    images: Count = 4
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 50)
    epochs: Count = 2
    patches: Count = 64
    overwrite: bool = False


_Settings = TypeVar("_Settings", bound=Settings)


def read_settings(kind: type[_Settings], values: dict[str, Any]) -> _Settings:
    """Validate values from a door.

    Raises:
        SettingsError: A value is not right; the message names its option.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        named = [part for part in first["loc"] if isinstance(part, str)]
        name = "--" + named[-1].replace("_", "-") if named else None
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            text[:1].lower() + text[1:], where=name, got=first["input"] if first["loc"] else None
        ) from error


def read_protocol(text: str, *, scope: str | None, tile: int | None) -> dict[str, Any]:
    """Return a protocol's settings: one of its ways to place points, or what a JSON file says.

    Raises:
        SettingsError: The file cannot be read.
    """
    values: dict[str, Any] = {"places": text}
    if text.endswith(".json"):
        try:
            values = dict(json.loads(Path(text).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(
                "the protocol cannot be read",
                where=text,
                expected='a JSON object such as {"scope": "tile", "tile": 256, "places": "pixel"}',
                got=error,
            ) from error
    given = {"scope": scope, "tile": tile}
    return values | {name: value for name, value in given.items() if value is not None}
