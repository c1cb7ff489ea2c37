"""The demo against a random forest on pixel colours, from the same points, on three landscape seeds.

Usage: python benchmarks/demo_forest.py [--seeds 0 1 2] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier

from geoseg.cli.show import Lines, print_table
from geoseg.domain.accuracy import accuracy, confusion_matrix
from geoseg.domain.points import Points
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import DemoSettings
from geoseg.workflows.demo import demo

HEADER = ("seed", "points/class/image", "forest mIoU %", "demo mIoU %", "ratio", "demo s")


def main() -> None:
    """Print one row for each seed and budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, help="Keep the demos here, and reuse those that are there.")
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        rows = [row for seed in arguments.seeds for row in compare(folder / f"seed-{seed}", seed)]
    print_table(HEADER, rows)


def compare(folder: Path, seed: int) -> list[list[str]]:
    """Run the demo of a seed, unless it was, and fit the forest to the same points."""
    results = folder / "results.json"
    if not results.exists():
        demo(DemoSettings(output=folder, seed=seed), Lines())
    rows = []
    for run in json.loads(results.read_text())["runs"]:
        forest = score_forest(folder, run["points_per_class"])
        rows.append(
            [
                str(seed),
                str(run["points_per_class"]),
                f"{100 * forest:.1f}",
                f"{100 * run['miou']:.1f}",
                f"{run['miou'] / forest:.2f}",
                f"{run['seconds']:.0f}",
            ]
        )
    return rows


def score_forest(folder: Path, per_class: int) -> float:
    """Return the forest's mIoU on the held-out scene."""
    data = folder / "data"
    train = {n: data / "images" / f"{n}.tif" for n in (data / "train.txt").read_text().split()}
    infos = {name: describe_raster(path) for name, path in train.items()}
    points = read_points(folder / f"points-{per_class}.gpkg", infos, legend=None).points
    forest = RandomForestClassifier(
        200, min_samples_leaf=3, class_weight="balanced", n_jobs=2, random_state=0
    )
    forest.fit(*_colors(points, train))
    held_out = (data / "test.txt").read_text().split()[0]
    pixels, truth = _read(data / "images" / f"{held_out}.tif"), _read(data / "masks" / f"{held_out}.tif")[0]
    mapped = forest.predict(pixels.reshape(len(pixels), -1).T).astype(np.uint8).reshape(truth.shape)
    return accuracy(confusion_matrix(truth, mapped, int(truth.max()) + 1)).miou


def _colors(points: Points, images: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    colors, classes = [], []
    for name, path in images.items():
        own = points.on_image(name)
        colors.append(_read(path)[:, own.row.astype(int), own.col.astype(int)].T)
        classes.append(own.class_id)
    return np.concatenate(colors), np.concatenate(classes)


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


if __name__ == "__main__":
    main()
