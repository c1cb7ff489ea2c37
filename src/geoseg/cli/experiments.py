"""The command ``geoseg experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from geoseg.cli.options import (
    PARTS,
    AnyValues,
    Bands,
    Device,
    Indices,
    Json,
    MaskValues,
    Nodata,
    Precision,
    Quiet,
    given,
    listed,
    print_json,
)


def experiment(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of results; finished runs are kept.")
    ],
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help="Folder of images/ and masks/ with split lists."),
    ] = None,
    recipes: Annotated[
        list[str], typer.Option(help="What to compare: forest,partial-ce,pfce,quick,deep,full.")
    ] = ["forest", "quick", "pfce"],  # noqa: B006 -- typer copies it
    per_class: Annotated[list[str], typer.Option(help="Budgets: points per class.")] = ["10", "50"],  # noqa: B006
    scope: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What they count for: tile, image or total. [default: image; tile with --tile]"),
    ] = None,
    tile: Annotated[Optional[int], typer.Option(help="Side of a tile in pixels.")] = None,  # noqa: UP045
    protocol: Annotated[
        str, typer.Option(help="How points are drawn: pixel, component, interior, centre, or a JSON file.")
    ] = "pixel",
    seeds: Annotated[int, typer.Option(help="Draws of the points.")] = 3,
    train_split: Annotated[str, typer.Option(help="Images to train on.")] = "train",
    test_split: Annotated[str, typer.Option(help="Images to score on.")] = "test",
    mask_values: MaskValues = None,
    background: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Class left out of the second mIoU. [default: the folder's, else background]"),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            help="resnet50, resnet101, mobilenet_v3_large, or for quick and deep a network of timm's, such as convnext_tiny."
        ),
    ] = "resnet50",
    weights: Annotated[str, typer.Option(help="imagenet, coco, none, or a path.")] = "imagenet",
    block_style: Annotated[str, typer.Option(help="pytorch or caffe.")] = "pytorch",
    output_stride: Annotated[int, typer.Option(help="8, or 16 (faster).")] = 8,
    head_start: Annotated[bool, typer.Option(help="Start heads from a linear probe.")] = True,
    enlarge: Annotated[
        int, typer.Option(help="quick reads the image as it is (1), or enlarged twice as well (2).")
    ] = 2,
    views: Annotated[int, typer.Option(help="In how many turns and flips quick reads the points.")] = 4,
    texture: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            help="quick reads colour and texture of all bands too, its backbone the first three. "
            "[default: with more than three bands, or indices]"
        ),
    ] = None,
    prior: Annotated[str, typer.Option(help="em, none or NAME=SHARE,...")] = "em",
    bands: Bands = None,
    indices: Indices = None,
    nodata: Nodata = None,
    strict_nodata: Annotated[
        bool, typer.Option(help="Nodata in one band makes a pixel invalid, not only in all bands.")
    ] = False,
    any_values: AnyValues = False,
    check_share: Annotated[float, typer.Option(help="Share of the points that pfce holds out.")] = 0.2,
    epochs: Annotated[Optional[int], typer.Option(help="Epochs. [default: 25; deep 12]")] = None,  # noqa: UP045
    patches: Annotated[int, typer.Option(help="Patches an epoch.")] = 0,
    batch: Annotated[Optional[int], typer.Option(help="Patches a step. [default: 8; deep 4]")] = None,  # noqa: UP045
    patch: Annotated[int, typer.Option(help="Side of a patch in pixels.")] = 256,
    head_rate: Annotated[
        Optional[float], typer.Option(help="Learning rate of the head. [default: 1e-4]")  # noqa: UP045
    ] = None,
    backbone_rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Learning rate of what is pretrained. [default: 1e-5; deep 1e-4]"),
    ] = None,
    parts: Annotated[list[str], typer.Option(help="What teaches deep, as for train.")] = PARTS,
    device: Device = "auto",
    precision: Precision = "auto",
    summary_only: Annotated[
        bool,
        typer.Option(
            "--summary-only",
            help="Run nothing, sum up what is in the folder; only DATA and --background count.",
        ),
    ] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the model files.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare recipes and budgets on a dataset; runs that are done are not done again."""
    from geoseg.cli.show import print_table, progress_bars
    from geoseg.errors import SettingsError
    from geoseg.settings import ExperimentSettings, TrainingOptions, read_protocol, read_settings
    from geoseg.workflows.experiment.run import experiment as run
    from geoseg.workflows.experiment.summary import summarise

    if summary_only:
        with progress_bars(quiet) as progress:
            summary = summarise(output, progress, data=data, background=background)
    elif data is None:
        raise SettingsError("no dataset is given", where="DATA", hint="Only --summary-only goes without one.")
    else:
        values = given(locals(), without=("json_", "quiet", "protocol", "scope", "tile", "summary_only"))
        values["recipes"], values["per_class"] = listed(recipes), listed(per_class)
        values["bands"] = listed(bands) if bands is not None else None
        values["indices"] = listed(indices)
        values["parts"] = [] if parts == ["none"] else listed(parts)
        training = {name: values.pop(name) for name in TrainingOptions.model_fields}
        values["protocol"] = read_protocol(protocol, scope=scope, tile=tile)
        settings = read_settings(ExperimentSettings, {**values, "training": training})
        with progress_bars(quiet) as progress:
            summary = run(settings, progress)
    if json_:
        print_json(dict(summary.record))
        return
    print_table(summary.header, summary.rows)
    typer.echo(f"\n{summary.note}")
    typer.echo(f"\nEverything is in {summary.folder}/; read summary.md first.")
