"""Job store: a private folder for each job, and a lock held by the process that works on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from geoseg.errors import OutputError, SettingsError
from geoseg.web.jobs.charging import delete_charge, refund
from geoseg.web.jobs.locks import try_lock
from geoseg.web.jobs.records import STATES, Job, JobRequest, State, is_id, new_id, utc_now
from geoseg.web.jobs.results import Result, list_results
from geoseg.workflows.service_files import whole_file

INPUT_SUFFIXES = (".tif", ".png", ".jpg")
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
MAP_NAME = "map.tif"
"""File name of the class map; the names of other results derive from it."""


@dataclass(frozen=True)
class Draft:
    """A job before submission; its folder is locked, and removed unless the job is submitted."""

    id: str
    store: JobStore

    def create_input(self, suffix: str) -> Path:
        """Create an empty private file for the raster, and return its path.

        Args:
            suffix: One of INPUT_SUFFIXES.

        Raises:
            ValueError: The suffix is another one.
        """
        if suffix not in INPUT_SUFFIXES:
            raise ValueError(f"{suffix!r} is none of {INPUT_SUFFIXES}")
        path = self.store.folder_of(self.id) / f"input{suffix}"
        path.touch(mode=0o600)
        return path

    def submit(self, request: JobRequest) -> Job:
        """Save the draft as a queued job.

        Raises:
            OutputError: The job cannot be written.
        """
        job = Job(id=self.id, request=request, created=utc_now())
        self.store.save(job)
        return job


class JobStore:
    """Jobs of a data folder, which several processes may share.

    Only the process that holds the lock of a job writes its ``job.json``. The kernel releases the lock when the process
    ends, even if it is killed.

    Args:
        data: The data folder; created if missing.

    Raises:
        SettingsError: The folder cannot be created.
    """

    def __init__(self, data: Path) -> None:
        self._data = data.resolve()
        self._folder = self._data / "jobs"
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingsError("cannot create this folder", where=data, got=error.strerror) from error

    def folder_of(self, job_id: str) -> Path:
        """Return the folder of a job, which may not exist.

        Raises:
            ValueError: The identifier has an invalid form.
        """
        if not is_id(job_id):
            raise ValueError("this is not a job identifier")
        return self._folder / job_id

    def ids(self) -> list[str]:
        """Return the identifiers of all folders, including drafts and leftovers."""
        return [entry.name for entry in os.scandir(self._folder) if is_id(entry.name)]

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Yield a draft; remove it when the block ends unless it was submitted."""
        while True:
            job_id = new_id()
            folder = self.folder_of(job_id)
            folder.mkdir(mode=0o700)
            with self.lock(job_id) as is_acquired:
                if not is_acquired:  # The cleanup has already removed the folder.
                    continue
                try:
                    yield Draft(job_id, self)
                finally:
                    if not (folder / "job.json").exists():
                        shutil.rmtree(folder, ignore_errors=True)
                return

    @contextmanager
    def lock(self, job_id: str) -> Iterator[bool]:
        """Try to lock a job until the block ends, without waiting; yield whether it succeeded."""
        path = self.folder_of(job_id) / "lock"
        try:
            descriptor = os.open(path, _LOCK_FLAGS, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            yield _acquire(descriptor)
        finally:
            os.close(descriptor)

    def is_running(self, job_id: str) -> bool:
        """Return whether a process runs or creates the job."""
        with self.lock(job_id) as is_acquired:
            return not is_acquired

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None; the identifier may be any text."""
        if not is_id(job_id):
            return None
        try:
            return Job.model_validate_json((self.folder_of(job_id) / "job.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def jobs(self, *, owner: str | None = None) -> list[Job]:
        """Return the jobs of an owner, or all jobs, the newest first."""
        found = [job for job in map(self.get, self.ids()) if job is not None]
        mine = [job for job in found if owner is None or job.request.owner == owner]
        return sorted(mine, key=lambda job: (job.created, job.id), reverse=True)

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in each state."""
        states = [job.state for job in self.jobs()]
        return {state: states.count(state) for state in STATES}

    def save(self, job: Job) -> None:
        """Write a job atomically; the caller must hold its lock.

        Raises:
            OutputError: The job cannot be written.
        """
        with whole_file(self.folder_of(job.id) / "job.json", overwrite=True) as partial:
            partial.touch(mode=0o600)
            partial.write_text(job.model_dump_json(indent=1), encoding="utf-8")

    def finish(self, job: Job) -> Job:
        """Write a finished job, and remove its working files; the caller must hold its lock.

        The pixels of a job without a map are refunded first. If the process is killed in between, the job stays
        unfinished, and is charged again when it resumes.

        Raises:
            OutputError: The job cannot be written, or the key store cannot be used.
        """
        folder = self.folder_of(job.id)
        if job.state != "done":
            if job.request.owner is not None:
                refund(self._data, job.id)
            shutil.rmtree(folder / "results", ignore_errors=True)
        size = sum(result.size for result in list_results(folder / "results"))
        over = job.model_copy(update={"finished": utc_now(), "size": size, "progress": None})
        self.save(over)
        self.remove_working_files(job.id)
        return over

    def remove_working_files(self, job_id: str) -> None:
        """Remove the working files of a finished job: raster, partial files and cancel marker."""
        folder = self.folder_of(job_id)
        for path in (*folder.glob("input*"), *folder.glob(".*"), folder / "cancel"):
            path.unlink(missing_ok=True)

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a queued job, or ask the worker of a running job to stop; return the job, or None.

        A running job keeps the state "running" until its worker reaches the next window.
        """
        job = self.get(job_id)
        if job is None or job.is_over:
            return job
        with suppress(FileNotFoundError):
            (self.folder_of(job_id) / "cancel").touch(mode=0o600)
        with self.lock(job_id) as is_acquired:
            job = self.get(job_id)
            if is_acquired and job is not None and not job.is_over:
                return self.finish(job.model_copy(update={"state": "cancelled"}))
        return job

    def is_cancelled(self, job_id: str) -> bool:
        """Return whether the cancellation of a job was requested."""
        return (self.folder_of(job_id) / "cancel").exists()

    def delete(self, job_id: str) -> bool:
        """Remove a finished job or a leftover draft; return whether it was removed.

        Raises:
            OutputError: The pixels of a draft cannot be refunded.
        """
        if not is_id(job_id):
            return False
        with self.lock(job_id) as is_acquired:
            job, folder = self.get(job_id), self.folder_of(job_id)
            is_unreadable = job is None and (folder / "job.json").exists()
            if not is_acquired or is_unreadable or (job is not None and not job.is_over):
                return False
            if job is None:
                refund(self._data, job_id)
            shutil.rmtree(folder, ignore_errors=True)
            if job is not None and job.request.owner is not None:
                with suppress(OutputError):  # A leftover record does no harm.
                    delete_charge(self._data, job_id)
        return True

    def input_path(self, job_id: str) -> Path | None:
        """Return the raster in the folder of a job, or None."""
        candidates = (self.folder_of(job_id) / f"input{suffix}" for suffix in INPUT_SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def map_path(self, job_id: str) -> Path:
        """Return the path of the class map of a job."""
        return self.folder_of(job_id) / "results" / MAP_NAME

    def results(self, job_id: str) -> list[Result]:
        """Return the result files of a job; none before it is done."""
        job = self.get(job_id)
        is_done = job is not None and job.state == "done"
        return list_results(self.map_path(job_id).parent) if is_done else []

    def result_path(self, job_id: str, name: str) -> Path | None:
        """Return the path of a result, or None; the name may be any text."""
        names = {result.name for result in self.results(job_id)}
        return self.map_path(job_id).with_name(name) if name in names else None

    def free_bytes(self) -> int:
        """Return the free disk space in bytes."""
        return shutil.disk_usage(self._folder).free


def _acquire(descriptor: int) -> bool:
    """Try to lock an open file; fail also if the file has been deleted."""
    return try_lock(descriptor) and os.fstat(descriptor).st_nlink > 0
