"""How predicting scales over worker processes of one machine, as ratios from one run.

    python benchmarks/workers.py [--side 1536] [--workers 1 2]

Each worker computes DeepLabV3-ResNet50 on one thread. Compared are whole commands, workers' start and the assembly of the map included,
and the strips alone: what one worker needs for all of them over what several need.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster
from invented.models import resnet50
from invented.rasters import write_raster

from geoseg.domain.ports import NullProgress
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.learning.model_file import pack_model
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.predict import predict


class Strips(NullProgress):
    """Notes when the strips are begun and when the last one is there."""

    def start(self, what: str, _total: int) -> None:
        """Note the time; what follows the strips is the assembly of the map."""
        if what == "Predicting strips on workers":
            self.begun = time.perf_counter()
        elif what.startswith("Writing"):
            self.ended = time.perf_counter()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=1536)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster = write_raster(folder / "raster.tif", options.side)
        built = resnet50(output_stride=16)
        model = folder / "model.geoseg"
        model.write_bytes(pack_model(built.network, built.record))
        found = {n: _predict(model, raster, folder / f"{n}.tif", workers=n) for n in options.workers}
        maps = [read_class_map(folder / f"{n}.tif")[0] for n in options.workers]
    first = options.workers[0]
    for workers, (whole, strips) in found.items():
        gain = (
            f"strips {found[first][1] / strips:.2f} times, whole {found[first][0] / whole:.2f} times as fast"
        )
        print(
            f"{workers} worker(s): strips {strips:7.1f} s, whole {whole:7.1f} s; {gain} as with {first}",
            flush=True,
        )
    print(f"the maps are the same: {all(np.array_equal(maps[0], other) for other in maps)}")


def _predict(model: Path, raster: Path, output: Path, *, workers: int) -> tuple[float, float]:
    """Return the seconds of the whole and of the strips on a cluster of one-thread workers."""
    started, strips = time.perf_counter(), Strips()
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            client.run(os.environ.update, OMP_NUM_THREADS="1")
        exact = {"device": "cpu", "precision": "float32", "window": 256}
        predict(
            PredictSettings(
                model=model, rasters=(raster,), output=output, scheduler=cluster.scheduler_address, **exact
            ),
            strips,
        )
    return time.perf_counter() - started, strips.ended - strips.begun


if __name__ == "__main__":
    main()
