"""How maps are made, scored and drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from geoseg.settings.base import (
    Count,
    Device,
    MaskValues,
    Nodata,
    PointFileSettings,
    Precision,
    Settings,
)

Product = Literal["probabilities", "polygons", "areas", "style", "stac"]
MapPrecision = Literal["auto", "float32", "bf16", "int8"]
Window = Annotated[int, Field(ge=32, le=8192)] | None


class PredictSettings(Settings):
    """Predict class maps.

    Attributes:
        model: Model file.
        rasters: Rasters to predict.
        output: Class map to write, or a folder when there are several rasters.
        into_folder: Whether ``output`` is a folder for one raster too; a text that ends in "/" says so.
        confidence: Confidence raster to write too, or a folder likewise.
        also: What else to write beside each map.
        style: Whether to write the QGIS style beside each map and confidence raster.
        min_area: Minimum mapping unit in square metres: smaller regions are merged into their largest neighbour, in the map
            and the polygons; 0 merges none. None merges regions under 10 pixels in the polygons alone.
        simplify: Metres by which outlines of polygons may be simplified.
        window: Side of the windows in pixels; more is read around them. None chooses.
        batch: Windows predicted together.
        output_stride: Pixels per cell of the logits, if not as trained.
        resample: Whether to compute at the model's ground resolution.
        tta: Whether to take the mean over the windows turned and flipped in every way: test-time augmentation.
        prior: Whose classes' shares count: "model" for those found at training, "raster" for those estimated on each raster
            as a whole, so that a part of it mapped alone differs.
        nodata: A pixel value that stands for no data, in addition to the one that the raster declares.
        strict_nodata: Whether nodata in one of the bands makes a pixel invalid; None: as at the model's training.
        any_values: Whether rasters whose values are on another scale than the training's are mapped too.
        area: Polygon file; pixels outside become nodata.
        backend: What computes: "torch", "compiled" (torch.compile), "onnx" (ONNX Runtime), "openvino", or "auto" for the
            fastest installed but "compiled".
        processes: Processes of this machine that share the strips.
        scheduler: Address of a Dask scheduler whose workers share the strips instead.
        device: Where to compute.
        precision: In what to compute; "int8" with "onnx" and "openvino", fitted to the first raster.
        overwrite: Whether existing outputs may be replaced.
    """

    arguments = frozenset({"model", "rasters"})

    model: Path
    rasters: Annotated[tuple[Path, ...], Field(min_length=1)]
    output: Path
    into_folder: bool = False
    confidence: Path | None = None
    also: tuple[Product, ...] = ()
    style: bool = True
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    simplify: Annotated[float, Field(ge=0)] = 0.0
    window: Window = None
    batch: Count = 1
    output_stride: Literal[8, 16] | None = None
    resample: bool = False
    tta: bool = False
    prior: Literal["model", "raster"] = "model"
    nodata: Nodata = None
    strict_nodata: bool | None = None
    any_values: bool = False
    area: Path | None = None
    backend: Literal["auto", "torch", "compiled", "onnx", "openvino"] = "torch"
    processes: Count = 1
    scheduler: str | None = None
    device: Device = "auto"
    precision: MapPrecision = "auto"
    overwrite: bool = False

    @model_validator(mode="before")
    @classmethod
    def _see_folder(cls, values: Any) -> Any:
        output = values.get("output") if isinstance(values, dict) else None
        is_folder = isinstance(output, str) and output.endswith(("/", os.sep))
        return {**values, "into_folder": True} if is_folder else values


class ExportSettings(Settings):
    """Export a model for other programs.

    Attributes:
        model: Model file.
        output: ONNX file to write.
        tile: Side of the images that it takes, a multiple of 32.
        overwrite: Whether an existing file may be replaced.
    """

    arguments = frozenset({"model"})

    model: Path
    output: Path
    tile: Annotated[int, Field(ge=64, le=4096)] = 512
    overwrite: bool = False


class EvaluateSettings(PointFileSettings):
    """Score a class map or a model.

    Attributes:
        subject: A class map or a model file.
        data: For a model: a dataset folder with masks, or a raster when ``points`` are given.
        split: Which images of the folder.
        truth: For a class map: the mask to compare with.
        points: Point file to compare with instead of masks.
        role: Which points of the file count: all, or those held out ("check").
        allow_training_points: Whether points that the model learnt from may be scored.
        legend: Legend file of the masks; of a map only if that names no classes.
        mask_values: Class names by the value that masks have for them.
        nodata: For a model: a pixel value that stands for no data, in addition to the one that the raster declares.
        strict_nodata: For a model: whether nodata in one of the bands makes a pixel invalid; None: as at its training.
        any_values: For a model: whether rasters whose values are on another scale than the training's are scored too.
        picture: Confusion-matrix picture to write (.png).
        window: Side of the windows in pixels; None chooses.
        output_stride: Pixels per cell of the logits, if not as trained.
        device: Where to compute.
        precision: In what to compute.
        overwrite: Whether an existing picture may be replaced.
    """

    arguments = frozenset({"subject", "data"})

    subject: Path
    data: Path | None = None
    split: str | None = "test"
    truth: Path | None = None
    points: Path | None = None
    role: Literal["all", "train", "check"] = "all"
    allow_training_points: bool = False
    legend: Path | None = None
    mask_values: MaskValues = None
    nodata: Nodata = None
    strict_nodata: bool | None = None
    any_values: bool = False
    picture: Path | None = None
    window: Window = None
    output_stride: Literal[8, 16] | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    overwrite: bool = False


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
        mask_values: Class names by the value that masks have for them.
        overwrite: Whether an existing picture may be replaced.
    """

    arguments = frozenset({"data", "maps"})

    data: Path
    maps: Annotated[tuple[Path, ...], Field(min_length=1)]
    output: Path
    split: str | None = None
    rows: Count = 5
    title: str = ""
    legend: Path | None = None
    mask_values: MaskValues = None
    overwrite: bool = False
