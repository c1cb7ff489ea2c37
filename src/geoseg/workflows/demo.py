"""Run the whole flow on synthetic landscapes, without a download: sample, train, predict, evaluate."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.domain.legend import Legend
from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import OutputError
from geoseg.geodata.datasets.landscapes import landscape_legend, write_landscapes
from geoseg.geodata.outputs.atomic_files import check_output, check_own_folder, write_json, write_text
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.masks import read_mask
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.pictures.comparison import comparison_figure
from geoseg.pictures.panel import Panel
from geoseg.settings import DemoSettings, EvaluateSettings, PredictSettings, SampleSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import Evaluation, evaluate
from geoseg.workflows.figure_files import write_picture
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.picture import read_display_rgb
from geoseg.workflows.sample import sample
from geoseg.workflows.training.train import train

RESOLUTION_M = 0.25


@dataclass(frozen=True)
class _Scenes:
    """The synthetic dataset, the training scene in the figure, and the held-out scene."""

    data: Path
    shown: str
    held_out: str

    def image(self, name: str) -> Path:
        return self.data / "images" / f"{name}.tif"

    def mask(self, name: str) -> Path:
        return self.data / "masks" / f"{name}.tif"


@dataclass(frozen=True)
class DemoResult:
    """The folder with all results, its main figure, the cells of the table, and the content of ``results.json``."""

    folder: Path
    figure: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    record: dict[str, Any]


@translate_library_errors
def demo(settings: DemoSettings, progress: Progress | None = None) -> DemoResult:
    """Generate landscapes, draw points, train from them, map a held-out scene, score and draw it.

    Raises:
        OutputError: The folder holds results of an earlier demo, or cannot be written.
    """
    progress = progress or PythonWarnings()
    folder, results = settings.output, settings.output / "results.json"
    _check_folder(folder, results, overwrite=settings.overwrite)
    check_output(results, overwrite=True)
    started = time.monotonic()
    seeds = [settings.seed * 1000 + n for n in range(settings.images + 1)]
    scenes = _Scenes(folder / "data", shown=f"scene-{seeds[0]}", held_out=f"scene-{seeds[-1]}")
    splits = {"train": seeds[:-1], "test": seeds[-1:]}
    write_json(results, {"landscape_seeds": splits, "runs": []})
    write_landscapes(scenes.data, splits, size=settings.size, resolution_m=RESOLUTION_M, progress=progress)
    runs = [_run(settings, scenes, n, progress=progress) for n in settings.per_class]
    record = {
        "landscape_seeds": splits,
        "resolution_m": RESOLUTION_M,
        "runs": runs,
        "seconds": round(time.monotonic() - started, 1),
    }
    legend = landscape_legend()
    header, rows = _table(runs, legend)
    write_text(folder / "results.md", _markdown(header, rows))
    figure = folder / "comparison.png"
    _draw(settings, scenes, runs, path=figure)
    write_json(results, record)
    return DemoResult(folder, figure, header, rows, record)


def _check_folder(folder: Path, results: Path, *, overwrite: bool) -> None:
    """Check that a folder is empty, or holds an unfinished demo or one that may be replaced."""
    if not results.exists():
        check_own_folder(folder, (), what="the demo")
        return
    try:
        record = json.loads(results.read_text(encoding="utf-8"))
        is_finished = bool(record["landscape_seeds"] and record["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            "this folder holds results of another command, which are not replaced",
            where=results,
            hint="Choose another folder with --output.",
        ) from error
    if is_finished and not overwrite:
        raise OutputError(
            "this folder holds results of an earlier demo",
            where=folder,
            hint="Use --overwrite to replace them.",
        )


def _run(settings: DemoSettings, scenes: _Scenes, per_class: int, *, progress: Progress) -> dict[str, Any]:
    """Sample, train, predict and evaluate with one budget; return the entry for ``results.json``."""
    started = time.monotonic()
    files = _files(settings.output, per_class)
    progress.say(f"\n{per_class} points per class and image")
    sample(
        SampleSettings(
            data=scenes.data,
            split="train",
            per_class=per_class,
            seed=settings.seed,
            output=files.points,
            overwrite=True,
        ),
        progress,
    )
    trained = train(
        TrainSettings(
            data=scenes.data,
            points=files.points,
            output=files.model,
            recipe="quick",
            speed="fast",
            keep_features=False,
            seed=settings.seed,
            overwrite=True,
        ),
        progress,
    )
    raster = scenes.image(scenes.held_out)
    predict(PredictSettings(model=files.model, rasters=(raster,), output=files.map, overwrite=True), progress)
    scored = evaluate(
        EvaluateSettings(
            subject=files.map,
            truth=scenes.mask(scenes.held_out),
            picture=files.confusion,
            overwrite=True,
        ),
        progress,
    )
    return _entry(per_class, settings.images, trained.record.training, scored=scored) | {
        "seconds": round(time.monotonic() - started, 1),
        "files": {name: str(path.relative_to(settings.output)) for name, path in vars(files).items()},
    }


@dataclass(frozen=True)
class _Files:
    points: Path
    model: Path
    map: Path
    confusion: Path


def _files(folder: Path, per_class: int) -> _Files:
    return _Files(
        points=folder / f"points-{per_class}.gpkg",
        model=folder / f"model-{per_class}.geoseg",
        map=folder / f"map-{per_class}.tif",
        confusion=folder / f"confusion-{per_class}.png",
    )


def _entry(per_class: int, images: int, training: Mapping[str, Any], *, scored: Evaluation) -> dict[str, Any]:
    scores = scored.to_record()
    return {
        "points_per_class": per_class,
        "points_per_image": round(training["points_total"] / images),
        "points_total": training["points_total"],
        "images": images,
        "points_sha256": training["points_sha256"],
        "final_loss": training["final_loss"],
        "miou": scores["miou"],
        "iou": scores["iou"],
        "overall_accuracy": scores["overall_accuracy"],
    }


def _table(runs: Sequence[dict[str, Any]], legend: Legend) -> tuple[tuple[str, ...], list[list[str]]]:
    fixed = ("points/class/image", "per image", "in total", "final loss", "mIoU %", "OA %")
    header = (*fixed, *(f"IoU {name} %" for name in legend.names), "seconds")
    rows = [
        [
            str(run["points_per_class"]),
            str(run["points_per_image"]),
            str(run["points_total"]),
            f"{run['final_loss']:.4f}",
            *(_percent(run[key]) for key in ("miou", "overall_accuracy")),
            *(_percent(run["iou"][name]) for name in legend.names),
            f"{run['seconds']:.0f}",
        ]
        for run in runs
    ]
    return header, rows


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _draw(settings: DemoSettings, scenes: _Scenes, runs: Sequence[dict[str, Any]], *, path: Path) -> None:
    """Draw a training scene with its points, and the held-out scene with each map and its mask."""
    legend = landscape_legend()
    training, held = (read_display_rgb(scenes.image(name)) for name in (scenes.shown, scenes.held_out))
    files = {run["points_per_class"]: _files(settings.output, run["points_per_class"]) for run in runs}
    shown = {scenes.shown: describe_raster(scenes.image(scenes.shown))}
    points = {n: read_points(f.points, shown, legend=legend).points for n, f in files.items()}
    truths = {n: read_mask(scenes.mask(n), legend) for n in (scenes.shown, scenes.held_out)}
    above = [
        Panel("Training scene", f"1 of {settings.images}", None, training, None),
        *(Panel(f"{n} points per class", "", None, training, p) for n, p in points.items()),
        Panel("Truth", "", truths[scenes.shown], None, None),
    ]
    maps = [
        Panel(
            f"Map from {run['points_per_class']} points per class",
            f"mIoU {_percent(run['miou'])} %",
            read_class_map(files[run["points_per_class"]].map)[0],
            None,
            None,
        )
        for run in runs
    ]
    below = [
        Panel("Held-out scene", "", None, held, None),
        *maps,
        Panel("Truth", "", truths[scenes.held_out], None, None),
    ]
    figure = comparison_figure([above, below], legend, resolution_m=RESOLUTION_M)
    write_picture(figure, path, overwrite=True)
