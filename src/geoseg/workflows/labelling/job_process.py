"""The process of a job: train on the points of a project, or map its rasters; report progress to a file.

It ends when its standard input closes, so that it never outlives the page.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from geoseg.errors import GeoSegError, StoppedError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.geodata.projects.schema import connected, current_revision
from geoseg.settings import PredictSettings, TrainSettings
from geoseg.workflows.inputs import Inputs
from geoseg.workflows.labelling.project_files import ProjectFiles, open_project

STATE_FILE, TASK_FILE = "state.json", "task.json"
_WRITE_EVERY_S = 0.5


class FileProgress:
    """Progress that is written to a file, at most twice a second.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._what = path, "Starting"
        self._done = self._total = 0
        self._began = self._written = time.monotonic()
        self.warnings = list[str]()

    def start(self, what: str, total: int) -> None:
        """Begin a stage."""
        self._what, self._done, self._total = what, 0, total
        self._began = time.monotonic()
        self.write()

    def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002 -- a port's
        """Add finished steps."""
        self._done += steps
        if time.monotonic() - self._written >= _WRITE_EVERY_S:
            self.write()

    def say(self, text: str) -> None:
        """Ignore the text."""

    def warn(self, text: str) -> None:
        """Keep the warning for the end."""
        self.warnings.append(text)

    def write(self, **more: Any) -> None:
        """Write the state of the job."""
        share = min(1.0, self._done / self._total) if self._total else None
        spent = time.monotonic() - self._began
        left = None if not share else round(spent / share * (1 - share), 1)
        self._written = time.monotonic()
        write_json(self._path, {"message": self._what, "progress": share, "seconds_left": left, **more})


def main(folder: Path) -> int:
    """Run the job in a folder; return the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    task = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
    progress = FileProgress(folder / STATE_FILE)
    progress.write()
    try:
        project = open_project(Path(task["project"]))
        message, results = (
            _train(project, task["recipe"], progress)
            if task["kind"] == "train"
            else _map(project, task["rasters"], progress)
        )
    except StoppedError:
        return 130
    except GeoSegError as error:
        progress.write(error=str(error))
        return 1
    text = " ".join([message, *progress.warnings])
    progress.write(message=text, progress=1.0, seconds_left=None, results=results)
    return 0


def latest_model(project: ProjectFiles) -> Path | None:
    """Return the model of a project that was trained last."""
    found = sorted((project.folder / "models").glob("*.geoseg"), key=lambda path: path.stat().st_mtime_ns)
    return found[-1] if found else None


def trained_revision(model: Path) -> int | None:
    """Return the revision of the project whose points a model was trained on."""
    try:
        return int(json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _train(project: ProjectFiles, recipe: str, progress: FileProgress) -> tuple[str, list[str]]:
    from geoseg.workflows.training.train import train

    with connected(project.points) as connection:
        revision = current_revision(connection)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    output = project.folder / "models" / f"{stamp}-{recipe}.geoseg"
    rasters = {one.name: one.path for one in project.rasters}
    # The class column is named, because QGIS may have added others with a usual name.
    settings = TrainSettings(
        data=project.rasters[0].path,
        points=project.points,
        layer="points",
        class_column="class",
        recipe=cast(Literal["auto", "deep", "quick"], recipe),
        output=output,
    )
    result = train(settings, progress, inputs=Inputs(rasters, {}, None))
    write_json(output.with_suffix(".json"), {"revision": revision, "recipe": recipe})
    return f"{result.summary}.", [output.name]


def _map(project: ProjectFiles, ids: Sequence[str], progress: FileProgress) -> tuple[str, list[str]]:
    from geoseg.workflows.mapping.predict import predict

    model = latest_model(project)
    if model is None:
        _train(project, "quick", progress)
        model = latest_model(project)
    assert model is not None
    maps, results = project.folder / "maps", list[str]()
    for raster in (one for one in project.rasters if one.id in ids):
        settings = PredictSettings(
            model=model,
            rasters=(raster.path,),
            output=maps / f"{raster.name}.tif",
            confidence=maps / f"{raster.name}_confidence.tif",
            also=("polygons", "areas"),
            overwrite=True,
        )
        predict(settings, progress)
        results += [f"map-{raster.id}.tif", f"confidence-{raster.id}.tif", f"polygons-{raster.id}.gpkg"]
    return f"Mapped by {model.name}.", results


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock the end of the interpreter would wait for.
    while os.read(0, 1024):
        pass
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
