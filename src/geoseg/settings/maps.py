"""Settings for predicting, exporting, scoring and drawing maps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from geoseg.settings.base import (
    BlockSide,
    ComputeSettings,
    Count,
    FeatureSettings,
    MaskValues,
    Nodata,
    PointFileSettings,
    Settings,
    Stack,
    option,
    with_stack,
)

Product = Literal["probabilities", "conformal", "polygons", "areas", "style", "stac"]
MapPrecision = Literal["auto", "float32", "bf16", "int8"]


class WindowSettings(ComputeSettings):
    """Options for applying a model to rasters."""

    nodata: Nodata = None
    strict_nodata: bool | None = option(
        None,
        help="Treat a pixel as invalid if any of its bands is nodata, instead of only if all are.",
        panel="Rasters",
        shown="as in training",
    )
    any_values: bool = option(
        False,
        help="Accept rasters whose pixel values have a different range from those in training.",
        panel="Rasters",
    )
    window: Annotated[int, Field(ge=32, le=8192)] | None = option(
        None,
        help="Side of the windows in pixels; context is read around them.",
        panel="Computing",
        shown="chosen by the model",
    )
    output_stride: Literal[8, 16] | None = option(
        None,
        help="Pixels per cell of the logits; 8 maps finer with a model trained at 16.",
        panel="Computing",
        shown="as in training",
    )


class PredictSettings(WindowSettings):
    """Predict class maps."""

    arguments = frozenset({"model", "rasters"})

    model: Path = option(help="Model file.")
    rasters: Annotated[tuple[Path, ...], Field(min_length=1)] = option(
        help="Rasters to map, or text files that list the files of a stack."
    )
    output: Path = option(help="Class map to write (.tif), or a folder such as maps/ for several rasters.")
    into_folder: bool = option(False, help="", panel="-")
    confidence: Path | None = option(None, help="Also write the confidence; a folder for several rasters.")
    also: tuple[Product, ...] = option(
        (),
        help="Also write next to each map: probabilities, conformal (number of classes in the 90 % set), polygons, "
        "areas, style, stac.",
        shown="none",
    )
    area: Path | None = option(None, help="Polygon file; pixels outside become nodata.")
    stack: Stack = ()
    overwrite: bool = option(False, help="Replace existing files that this program wrote.")
    style: bool = option(
        True, help="Write the legend as a QGIS style (.qml) next to each map.", panel="Products"
    )
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = option(
        None,
        help="Minimum mapping unit in square metres: merge smaller regions of map and polygons into their largest "
        "neighbour; 0 merges none. The area of a pixel is that at the centre of the raster.",
        panel="Products",
        shown="10 pixels in the polygons, none in the map",
    )
    simplify: Annotated[float, Field(ge=0)] = option(
        0.0, help="Tolerance in metres for simplifying outlines of polygons.", panel="Products"
    )
    abstain: Annotated[float, Field(gt=0, lt=1)] | None = option(
        None,
        help="Confidence (0 to 1) below which a pixel gets the value 254, unsure, instead of a class.",
        panel="Products",
        shown="every pixel gets a class",
    )
    prior: Literal["model", "raster"] = option(
        "model",
        help="Class proportions: model (from training) or raster (estimated on each raster as a whole).",
        panel="Accuracy",
    )
    tta: bool = option(
        False,
        help="Test-time augmentation: mean over 8 rotations and flips of each window; takes 8 times as long.",
        panel="Accuracy",
    )
    resample: bool = option(
        False, help="Resample rasters to the ground resolution of the model.", panel="Accuracy"
    )
    batch: Count = option(1, help="Windows to predict together.", panel="Computing")
    backend: Literal["auto", "onnx", "openvino", "torch"] | None = option(
        None,
        help="Runtime; auto measures those that are installed, and uses the fastest.",
        panel="Computing",
        shown="onnx; torch on a GPU, where it is installed",
    )
    processes: Count = option(1, help="Processes of this machine that share the work.", panel="Computing")
    scheduler: str | None = option(
        None,
        help="Address of a Dask scheduler whose workers share the work, such as tcp://host:8786.",
        panel="Computing",
    )
    precision: MapPrecision = option(  # type: ignore[assignment]
        "auto",
        help="Number format to compute in; int8 needs backend onnx or openvino and is fitted to the first raster.",
        panel="Computing",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_stack(cls, values: Any) -> Any:
        return with_stack(values, "rasters", is_list=True)

    @model_validator(mode="before")
    @classmethod
    def _see_folder(cls, values: Any) -> Any:
        output = values.get("output") if isinstance(values, dict) else None
        is_folder = isinstance(output, str) and output.endswith(("/", os.sep))
        return {**values, "into_folder": True} if is_folder else values


class ExportSettings(Settings):
    """Export a model for other programs."""

    arguments = frozenset({"model"})

    model: Path = option(help="Model file.")
    output: Path = option(help="ONNX file to write.")
    tile: Annotated[int, Field(ge=64, le=4096)] = option(
        512, help="Side in pixels of the images that the network takes, a multiple of 32."
    )
    overwrite: bool = option(False, help="Replace an existing file that this program wrote.")


class EvaluateSettings(WindowSettings, PointFileSettings, FeatureSettings):
    """Score a class map or a model."""

    arguments = frozenset({"subject", "data"})

    subject: Path = option(help="A class map or a model file.")
    data: Path | None = option(
        None, help="For a model: a dataset folder with masks, or a raster if points are given."
    )
    truth: Path | None = option(None, help="For a class map: the mask to compare with.")
    points: Path | None = option(None, help="Point file to compare with, instead of masks.")
    role: Literal["all", "train", "check"] = option(
        "all", help="Role of the points to use; check points were held out from training."
    )
    cross_validate: bool = option(
        False,
        help="Score a recipe instead of a map: train on some blocks of the points and score at the others. The subject is "
        "then the raster that the points label, or a folder of rasters.",
        panel="Cross-validation",
    )
    recipe: Literal["quick", "forest", "auto"] | None = option(
        None,
        help="Recipe to cross-validate; auto chooses quick or forest within each fold.",
        panel="Cross-validation",
        shown="quick; for rasters of features the heads",
    )
    block: BlockSide | None = option(
        None,
        help="Side of the blocks in pixels, or in metres as in 500m; smaller ones are used if the points lie in too few.",
        panel="Cross-validation",
        shown="the range of the variogram of the residuals",
    )
    learning_curve: bool = option(
        False,
        help="Also score models of fewer points, and estimate the gain from more points of each class.",
        panel="Cross-validation",
    )
    more_points: Count = option(
        50,
        help="Number of further points of a class whose gain the learning curve estimates.",
        panel="Cross-validation",
    )
    allow_training_points: bool = option(
        False, help="Also score on points that the model was trained on; such scores are too high."
    )
    picture: Path | None = option(
        None, help="Picture of the confusion matrix or the learning curve to write (.png)."
    )
    overwrite: bool = option(False, help="Replace an existing picture.")
    split: str | None = option("test", help="Split list of the folder to score on.", panel="Rasters")
    stack: Stack = ()
    legend: Path | None = option(
        None, help="Legend file (JSON) of the masks, and of a map without class names.", panel="Rasters"
    )
    mask_values: MaskValues = None

    @model_validator(mode="before")
    @classmethod
    def _read_stack(cls, values: Any) -> Any:
        is_crossed = isinstance(values, dict) and values.get("cross_validate")
        return with_stack(values, "subject" if is_crossed else "data")

    @model_validator(mode="after")
    def _cross_validation_has_its_data(self) -> Self:
        if self.cross_validate and self.points is None:
            raise ValueError("cross-validation needs points")
        if self.cross_validate and (self.truth or self.data):
            raise ValueError(
                "cross-validation takes one raster or folder and points, no mask or second raster"
            )
        if self.cross_validate and self.picture and not self.learning_curve:
            raise ValueError("cross-validation draws a picture of the learning curve only")
        if self.learning_curve and not self.cross_validate:
            raise ValueError("a learning curve needs cross-validation")
        return self


class PictureSettings(Settings):
    """Draw maps next to their images and the reference."""

    arguments = frozenset({"data", "maps"})

    data: Path = option(help="Folder with images/ and optionally masks/.")
    maps: Annotated[tuple[Path, ...], Field(min_length=1)] = option(
        help="Folders of class maps from predict -o FOLDER; a map has the file name of its image."
    )
    output: Path = option(help="Picture to write (.png).")
    split: str | None = option(None, help="Split list of the images to draw.", shown="all images")
    rows: Count = option(5, help="Maximum number of images to draw.")
    title: str = option("", help="Title of the picture.")
    legend: Path | None = option(None, help="Legend file (JSON).")
    mask_values: MaskValues = None
    overwrite: bool = option(False, help="Replace an existing picture.")
