"""The terminal door: parses, calls one workflow, prints. Heavy imports wait until a verb runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from geoseg.cli.data import data_app
from geoseg.cli.experiments import experiment
from geoseg.cli.keys import keys_app
from geoseg.cli.maps import export, predict
from geoseg.cli.options import (
    ClassColumn,
    Data,
    Device,
    Json,
    LegendFile,
    OutputStride,
    Overwrite,
    Precision,
    Quiet,
    Seed,
    Window,
    given,
    numbers,
    print_json,
)
from geoseg.cli.serve import serve
from geoseg.cli.worker import worker

if TYPE_CHECKING:
    from geoseg.workflows.demo import DemoResult
    from geoseg.workflows.evaluate import Evaluation

app = typer.Typer(
    help="Turn a handful of labelled points into a land-cover map.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
points_app = typer.Typer(help="Work with labelled points.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(points_app, name="points")
app.add_typer(data_app, name="data")
app.add_typer(keys_app, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        from geoseg import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a handful of labelled points into a land-cover map."""


@points_app.command("sample")
def points_sample(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Point file: .gpkg, .geojson or .csv.")],
    split: Annotated[Optional[str], typer.Option(help="Only the images of this list, such as train.")] = None,  # noqa: UP045
    per_class: Annotated[int, typer.Option(help="Points per class and tile, image, or in total.")] = 10,
    scope: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What they count for: tile, image or total. [default: image; tile with --tile]"),
    ] = None,
    tile: Annotated[Optional[int], typer.Option(help="Side of a tile in pixels.")] = None,  # noqa: UP045
    places: Annotated[str, typer.Option(help="Where: pixel, component, interior or centre.")] = "pixel",
    margin: Annotated[int, typer.Option(help="Distance of interior from other classes in pixels.")] = 3,
    jitter: Annotated[float, typer.Option(help="How far a centre may be missed, in pixels.")] = 2.0,
    location_error: Annotated[float, typer.Option(help="Misplace points by 1 to this many pixels.")] = 0.0,
    wrong_share: Annotated[float, typer.Option(help="Share of the points with a wrong label.")] = 0.0,
    seed: Seed = 0,
    legend: LegendFile = None,
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw points at random from dense masks, to simulate a person who labels."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import SampleSettings, read_settings
    from geoseg.workflows.sample import sample

    settings = read_settings(SampleSettings, given(locals(), without=("json_", "quiet")))
    with progress_bars(quiet) as progress:
        result = sample(settings, progress)
    names, points = result.legend.names, result.points
    counts = dict(zip(names, points.counts(len(names)).tolist(), strict=True))
    record = {"output": str(result.output), "points_total": len(points), "points_by_class": counts}
    record["images"], record["sha256"] = len(set(points.image.tolist())), points.digest()
    if json_:
        print_json(record)
        return
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    typer.echo(f"{len(points)} points on {record['images']} image(s) in {result.output}: {parts}.")


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="A raster, or a folder of images/ with split lists.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write, such as model.geoseg.")
    ],
    points: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Point file: GeoPackage, GeoJSON, Shapefile or CSV."),
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
    bands: Annotated[Optional[str], typer.Option(help="Bands to use, such as 1,2,3. [default: all]")] = None,  # noqa: UP045
    indices: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Normalised differences of bands that join them, such as 4-1,2-4 (NDVI, NDWI)."),
    ] = None,
    class_column: ClassColumn = None,
    legend: LegendFile = None,
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
        str,
        typer.Option(
            help="What teaches deep beside the points, or none: self-training or mean-teacher, turns, cutmix, "
            "thresholds, growing, affinity."
        ),
    ] = "self-training,cutmix,affinity",
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
    from geoseg.workflows.train import train as run

    values = given(locals(), without=("json_", "quiet"))
    values["bands"] = numbers(bands) if bands is not None else None
    values["indices"] = numbers(indices or "")
    values["parts"] = [] if parts == "none" else numbers(parts)
    settings = read_settings(TrainSettings, values)
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if result.rank > 0:
        return
    if json_:
        kept = {k: v for k, v in result.record.training.items() if k not in ("history", "settings")}
        curves = {"curves": str(result.curves)} if result.curves else {}
        print_json({"model": str(result.model), **curves, **kept})
        return
    typer.echo(f"{result.model}: {result.summary}.")
    if result.curves:
        typer.echo(f"Curves: {result.curves}")
    typer.echo(f"Next: geoseg predict {result.model} RASTER.tif -o map.tif")


@app.command()
def evaluate(
    subject: Annotated[Path, typer.Argument(help="A class map or a model file.")],
    data: Annotated[Optional[Path], typer.Argument(help="For a model: dataset folder, or a raster.")] = None,  # noqa: UP045
    split: Annotated[str, typer.Option(help="Which images of the folder.")] = "test",
    truth: Annotated[Optional[Path], typer.Option(help="For a class map: the mask to compare with.")] = None,  # noqa: UP045
    points: Annotated[Path | None, typer.Option(help="Compare with these points instead of masks.")] = None,
    role: Annotated[str, typer.Option(help="Which points count: all, train or check.")] = "all",
    class_column: ClassColumn = None,
    legend: LegendFile = None,
    picture: Annotated[Optional[Path], typer.Option(help="Draw the confusion matrix (.png).")] = None,  # noqa: UP045
    window: Window = None,
    output_stride: OutputStride = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a class map or a model against masks or points."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import EvaluateSettings, read_settings
    from geoseg.workflows.evaluate import evaluate as run

    settings = read_settings(EvaluateSettings, given(locals(), without=("json_", "quiet")))
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.to_record())
        return
    _print_scores(result)


@app.command()
def picture(
    data: Data,
    maps: Annotated[list[Path], typer.Argument(help="Folders of maps, as predict -o FOLDER writes them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write (.png).")],
    split: Annotated[Optional[str], typer.Option(help="Only the images of this list.")] = None,  # noqa: UP045
    rows: Annotated[int, typer.Option(help="Images to draw at most.")] = 5,
    title: Annotated[str, typer.Option(help="Line above all.")] = "",
    legend: LegendFile = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw maps beside their images and the truth."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import PictureSettings, read_settings
    from geoseg.workflows.picture import picture as run

    settings = read_settings(PictureSettings, given(locals(), without=("quiet",)))
    with progress_bars(quiet) as progress:
        typer.echo(run(settings, progress))


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A model file, a raster, or a dataset folder.")],
    json_: Json = False,
) -> None:
    """Say what a file is."""
    from geoseg.workflows.info import info as run

    record = run(path)
    if json_:
        print_json(record)
        return
    for name, value in record.items():
        if name != "training":
            typer.echo(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


app.command()(predict)
app.command()(export)
app.command()(experiment)
app.command()(serve)
app.command()(worker)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "demo-results"
    ),
    seed: Seed = 0,
    json_: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole job on invented landscapes: points, training, maps, scores, pictures."""
    from geoseg.cli.show import progress_bars
    from geoseg.settings import DemoSettings, read_settings
    from geoseg.workflows.demo import demo as run

    settings = read_settings(DemoSettings, given(locals(), without=("json_", "quiet")))
    with progress_bars(quiet) as progress:
        result = run(settings, progress)
    if json_:
        print_json(result.record)
        return
    _print_demo(result)


def _print_scores(result: Evaluation) -> None:
    from geoseg.cli.show import print_table

    scores = result.accuracy
    columns = (scores.iou, scores.f1, scores.precision, scores.recall)
    rows = [
        [name, *(_percent(column[k]) for column in columns), f"{scores.confusion[k].sum():,}"]
        for k, name in enumerate(result.legend.names)
    ]
    print_table(["class", "IoU %", "F1 %", "precision %", "recall %", "pixels"], rows)
    typer.echo(f"mIoU {_percent(scores.miou)} %, overall accuracy {_percent(scores.overall_accuracy)} %")


def _print_demo(result: DemoResult) -> None:
    from geoseg.cli.show import print_table

    print_table(result.header, result.rows)
    typer.echo(f"\nEverything is in {result.folder}/; look at {result.figure} first.")
    typer.echo("\nWith data of your own, an orthophoto and a file of field points:")
    typer.echo("  geoseg train orthophoto.tif --points field.gpkg -o model.geoseg")
    typer.echo("  geoseg predict model.geoseg orthophoto.tif -o map.tif --confidence confidence.tif")
    typer.echo("  geoseg evaluate map.tif --points check.gpkg")


def _percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"
