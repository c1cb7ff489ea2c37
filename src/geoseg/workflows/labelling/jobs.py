"""Jobs of a page: one after the other, each in a process of its own, with progress and cancel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from geoseg.errors import SettingsError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.workflows.devices import has_torch
from geoseg.workflows.labelling.job_process import STATE_FILE, TASK_FILE
from geoseg.workflows.labelling.project import LabelProject

State = Literal["queued", "running", "done", "failed", "cancelled"]
_NICE = 5
_STOP_S = 10
_MAX_JOBS = 50
RECIPES = ("auto", "deep", "quick")


@dataclass
class PageJob:
    """A job of the page.

    Attributes:
        id: Its id.
        kind: "train" or "map".
        title: One line for the page.
        task: What the process reads.
        state: Its state.
        message: Stage, result or cause of a failure.
        progress: Share of the stage that is done; None if unknown.
        seconds_left: Time left of the stage; None if unknown.
        results: Names of the results.
    """

    id: str
    kind: str
    title: str
    task: dict[str, Any]
    state: State = "queued"
    message: str = ""
    progress: float | None = None
    seconds_left: float | None = None
    results: list[str] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """Return the form of the page."""
        names = ["model.geoseg"] if self.kind == "train" and self.results else self.results
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "progress": self.progress,
            "message": self.message,
            "seconds_left": self.seconds_left,
            "results": [{"name": name, "url": f"/v1/project/export/{name}"} for name in names],
        }


class JobRunner:
    """Runs the jobs of a project in the order in which they come.

    Args:
        project: The project.
    """

    def __init__(self, project: LabelProject) -> None:
        self._project = project
        self._jobs = dict[str, PageJob]()
        self._lock, self._wake, self._is_stopping = threading.Lock(), threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="geoseg-jobs-"))

    def train(self, recipe: str) -> PageJob:
        """Queue a training.

        Raises:
            SettingsError: The recipe is unknown, or needs torch, which is not installed.
        """
        if recipe not in RECIPES:
            raise SettingsError(
                "there is no such recipe", where="recipe", expected=", ".join(RECIPES), got=recipe
            )
        if recipe == "deep" and not has_torch():
            raise SettingsError(
                "the recipe deep needs torch, which is not installed",
                hint="pip install 'geoseg-pointai[torch]'",
            )
        return self._add("train", f"Train a model ({recipe})", {"recipe": recipe})

    def map(self, rasters: Sequence[str]) -> PageJob:
        """Queue maps of rasters, by the model trained last; without one, quick is trained first.

        Raises:
            SettingsError: The project has no such raster.
        """
        names = [self._project.raster(one).name for one in rasters or self._project.rasters]
        return self._add(
            "map", f"Map {', '.join(names)}", {"rasters": list(rasters or self._project.rasters)}
        )

    def records(self) -> list[dict[str, Any]]:
        """Return all jobs, the newest first."""
        with self._lock:
            jobs = list(self._jobs.values())[::-1]
        for job in jobs:
            if job.state == "running":
                self._read_state(job)
        return [job.to_record() for job in jobs]

    def cancel(self, job_id: str) -> PageJob | None:
        """Stop a job; return it, or None if there is none."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            if job.state in ("queued", "running"):
                is_running, job.state, job.message = job.state == "running", "cancelled", "Cancelled."
                process = self._process if is_running else None
            else:
                process = None
        if process is not None:
            _stop(process)
        return job

    def run(self) -> None:
        """Run jobs until :meth:`close` is called."""
        while not self._is_stopping.is_set():
            job = self._next()
            if job is None:
                self._wake.wait(timeout=1)
                self._wake.clear()
                continue
            self._run(job)

    def close(self) -> None:
        """Stop the running job."""
        self._is_stopping.set()
        self._wake.set()
        process = self._process
        if process is not None:
            _stop(process)

    def _add(self, kind: str, title: str, task: dict[str, Any]) -> PageJob:
        task = {**task, "kind": kind, "project": str(self._project.files.folder)}
        job = PageJob(token_hex(8), kind, title, task)
        with self._lock:
            self._jobs[job.id] = job
            finished = [own for own, one in self._jobs.items() if one.state not in ("queued", "running")]
            for own in finished[: max(0, len(self._jobs) - _MAX_JOBS)]:
                del self._jobs[own]
        self._wake.set()
        return job

    def _next(self) -> PageJob | None:
        with self._lock:
            return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def _run(self, job: PageJob) -> None:
        folder = self._folder / job.id
        folder.mkdir()
        write_json(folder / TASK_FILE, job.task)
        command = [sys.executable, "-m", "geoseg.workflows.labelling.job_process", str(folder)]
        with self._lock:
            if job.state != "queued":
                return
            with (folder / "log.txt").open("wb") as log:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
            self._process, job.state, job.message = process, "running", "Starting"
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # The page stays quick while a job runs.
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        state = self._read_state(job)
        with self._lock:
            self._process = None
            job.seconds_left = None
            if self._was_cancelled(job):
                return
            job.state = "done" if code == 0 else "failed"
            job.results = list(state.get("results", ()))
            if code != 0:
                job.message = (
                    state.get("error")
                    or f"The process ended with code {code}: {_last_line(folder / 'log.txt')}"
                )

    @staticmethod
    def _was_cancelled(job: PageJob) -> bool:
        return job.state == "cancelled"

    def _read_state(self, job: PageJob) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(
                (self._folder / job.id / STATE_FILE).read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            return {}
        if job.state == "running":
            job.message, job.progress = str(found.get("message", "")), found.get("progress")
            job.seconds_left = found.get("seconds_left")
        return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: it stops when its standard input closes."""
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"
