"""The command that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from geoseg.cli.options import (
    PARTS,
    AnyValues,
    Bands,
    ClassColumn,
    Device,
    Dropped,
    Indices,
    Json,
    LegendFile,
    MaskValues,
    Nodata,
    Overwrite,
    PerPolygon,
    PointCrs,
    PointLayer,
    Precision,
    Quiet,
    Seed,
    given,
    listed,
    print_json,
)


def train(
    data: Annotated[Path, typer.Argument(help="A raster, or a folder of images/ with split lists.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write, such as model.geoseg.")
    ],
    points: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Point file: CSV, or anything that GDAL reads, such as GeoPackage, Shapefile or KML; polygons are sampled."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which images of a folder to train on.")] = "train",
    recipe: Annotated[
        str,
        typer.Option(
            help="How to train: auto (the best of quick, forest and deep), quick (minutes), forest (no network), "
            "deep (quick, then fine-tuned), pfce (DeepLabV3), or full (as pfce, on all masks)."
        ),
    ] = "auto",
    minutes: Annotated[
        float, typer.Option(help="How long auto may take; it tries deep where that fits.")
    ] = 20.0,
    backbone: Annotated[
        str,
        typer.Option(
            help="resnet50, resnet101, mobilenet_v3_large, or for quick and deep a network of timm's, such as convnext_tiny."
        ),
    ] = "resnet50",
    weights: Annotated[
        str, typer.Option(help="imagenet, coco, none, or the path of a .safetensors or .pth file.")
    ] = "imagenet",
    block_style: Annotated[
        str, typer.Option(help="Where the weights' ResNet strides: pytorch or caffe.")
    ] = "pytorch",
    output_stride: Annotated[int, typer.Option(help="Pixels per cell of the logits: 8, or 16 (faster).")] = 8,
    bands: Bands = None,
    indices: Indices = None,
    nodata: Nodata = None,
    strict_nodata: Annotated[
        bool, typer.Option(help="Nodata in one band makes a pixel invalid, not only in all bands.")
    ] = False,
    any_values: AnyValues = False,
    class_column: ClassColumn = None,
    dropped: Dropped = None,
    layer: PointLayer = None,
    crs: PointCrs = None,
    per_polygon: PerPolygon = 10,
    legend: LegendFile = None,
    mask_values: MaskValues = None,
    check_share: Annotated[
        float, typer.Option(help="Share of the points held out to choose the epoch.")
    ] = 0.2,
    check_points: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Point file to choose the epoch by, instead of a share."),
    ] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Epochs. [default: 25; deep 12]")] = None,  # noqa: UP045
    patches: Annotated[
        int, typer.Option(help="Patches an epoch. [0: as many as cells that hold points; deep 24]")
    ] = 0,
    batch: Annotated[Optional[int], typer.Option(help="Patches a step. [default: 8; deep 4]")] = None,  # noqa: UP045
    patch: Annotated[int, typer.Option(help="Side of a patch in pixels.")] = 256,
    gamma: Annotated[float, typer.Option(help="Focusing parameter; 0 is partial cross-entropy.")] = 2.0,
    head_start: Annotated[
        bool, typer.Option(help="Start the head from a linear probe of the backbone's features.")
    ] = True,
    head_rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Learning rate of the head and of what starts at random. [default: 1e-4]"),
    ] = None,
    backbone_rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Learning rate of what is pretrained. [default: 1e-5; deep 1e-4]"),
    ] = None,
    parts: Annotated[
        list[str],
        typer.Option(
            help="What teaches deep beside the points, or none: self-training or mean-teacher, turns, cutmix, "
            "thresholds, growing, affinity."
        ),
    ] = PARTS,
    absent: Annotated[
        bool,
        typer.Option(
            "--absent",
            help="A class without a point in an image is absent there (deep; not of a person's points).",
        ),
    ] = False,
    enlarge: Annotated[
        int,
        typer.Option(
            help="quick reads the image as it is (1), or enlarged twice as well (2: finer, slower)."
        ),
    ] = 2,
    views: Annotated[
        int, typer.Option(help="In how many turns and flips quick reads the points, 1 to 8.")
    ] = 4,
    texture: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            help="quick reads colour and texture of all bands too, its backbone the first three. "
            "[default: with more than three bands, or indices]"
        ),
    ] = None,
    cache: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder where quick keeps points' features. [default: ~/.cache/geoseg/features]"),
    ] = None,
    keep_features: Annotated[
        bool,
        typer.Option(help="Keep the features of points, so that the next training reads only new points."),
    ] = True,
    cache_gib: Annotated[float, typer.Option(help="Gibibytes that kept features may take.")] = 2.0,
    prior: Annotated[
        str,
        typer.Option(
            help="Classes' shares on the land: em (estimated), none (as the points), NAME=SHARE,... or a "
            "file of points drawn at random."
        ),
    ] = "em",
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    processes: Annotated[int, typer.Option(help="Processes or GPUs that share the work.")] = 1,
    json_: Json = False,
    quiet: Quiet = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model from labelled points."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import TrainSettings, read_settings
    from geoseg.workflows.training.train import train as run

    values = given(locals(), without=("json_", "quiet"))
    values["bands"] = listed(bands) if bands is not None else None
    values["indices"] = listed(indices)
    values["parts"] = [] if parts == ["none"] else listed(parts)
    settings = read_settings(TrainSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if result.rank > 0:
        return
    if json_:
        kept = {k: v for k, v in result.record.training.items() if k not in ("history", "settings", "places")}
        curves = {"curves": str(result.curves)} if result.curves else {}
        print_json({"model": str(result.model), **curves, **kept, "warnings": list(result.warnings)})
        return
    typer.echo(f"{result.model}: {result.summary}.")
    if result.curves:
        typer.echo(f"Curves: {result.curves}")
    typer.echo(f"Next: geoseg predict {result.model} RASTER.tif -o map.tif")
