"""Distribute the strips of maps over processes or machines with Dask."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geoseg import __version__
from geoseg.domain.mapping.prediction import count_strips
from geoseg.domain.ports import NullProgress, Predictor, Progress
from geoseg.errors import ModelFileError, SettingsError
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.engines import rebuild_predictor
from geoseg.workflows.mapping.raster_map import MapJob, missing_ranges, predict_and_store_strips
from geoseg.workflows.model_at_stride import read_model_at_stride
from geoseg.workflows.process_tuning import tune_process

PACKAGE = "geoseg-pointai"
CHUNKS_PER_WORKER = 4
MAX_STRIPS_PER_CHUNK = 8
RETRIES = 2
CONNECT_TIMEOUT_S = 20


def predict_on_workers(jobs: Sequence[MapJob], *, progress: Progress) -> None:
    """Predict the missing strips of all maps on workers. Each worker stores the strips that it finishes.

    The workers write to the folder of the map and need access to it under the same path. Dask retries a failed range
    of strips on another worker. Strips that still fail are left to the final step, which predicts them locally.

    Raises:
        SettingsError: Dask is not installed, no worker is available, or a worker has another version of this package.
        OutputError: The output has an unfinished map with other settings.
    """
    if find_spec("distributed") is None:
        raise SettingsError(
            "distributed prediction needs Dask",
            where="--processes",
            hint="pip install geoseg-pointai[cluster]",
        )
    from distributed import as_completed

    settings = jobs[0].settings
    with _connected(settings) as client:
        with suppress(TimeoutError):  # _check_versions reports missing workers
            client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
        _check_versions(client)
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        threads = max(1, (os.cpu_count() or 1) // settings.processes) if settings.scheduler is None else None
        futures = {
            client.submit(predict_on_worker, job, part, threads=threads, pure=False, retries=RETRIES): (
                job,
                part,
            )
            for job in jobs
            if job.made() is None
            for part in _chunks(job, workers)
        }
        progress.start("Predicting strips on workers", sum(len(part) for _, part in futures.values()))
        for future in as_completed(list(futures)):
            job, part = futures[future]
            error = future.exception()
            if error is not None:
                named = f"strips {part.start} to {part.stop - 1}"
                progress.warn(f"{job.task.info.path}: {named} failed on workers: {error}")
                continue
            progress.advance(len(part), f"on {future.result()}")


def predict_on_worker(job: MapJob, part: range, *, threads: int | None) -> str:
    """Predict a range of strips in this process; return its host name and process id.

    Args:
        job: The map.
        part: Indices of the strips.
        threads: Number of CPU threads; None takes all.
    """
    tune_process()
    settings = job.settings
    identity = tuple(job.engine.identity.items())
    predictor = _predictor(settings.model, settings.output_stride, identity, threads=threads)
    with job.open() as source:
        for missing in missing_ranges(job.store.finished(), part):
            predict_and_store_strips(job, missing, predictor, source=source, progress=NullProgress())
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=1)
def _predictor(
    path: Path, output_stride: Any, identity: tuple[tuple[str, Any], ...], *, threads: int | None
) -> Predictor:
    """Read and, for int8, quantise the model, once per process.

    Raises:
        ModelFileError: The map was started with another model.
    """
    model, wanted = read_model_at_stride(path, output_stride), dict(identity)
    if model.sha256 != wanted["model_sha256"]:
        raise ModelFileError(
            "the map was started with another model",
            where=path,
            expected=f"SHA-256 {wanted['model_sha256']}",
            got=model.sha256,
            hint="If the model was trained again, restart the map with --overwrite.",
        )
    return rebuild_predictor(model, wanted, threads)


def _chunks(job: MapJob, workers: int) -> list[range]:
    """Split the missing strips into ranges. Each range costs an extra strip, so ranges are not too short."""
    job.begin()
    with job.open() as source:
        count = count_strips(source, job.engine.plan)
    missing = list(missing_ranges(job.store.finished(), range(count)))
    total = sum(map(len, missing))
    length = min(MAX_STRIPS_PER_CHUNK, max(1, total // (CHUNKS_PER_WORKER * max(1, workers))))
    return [
        range(first, min(first + length, part.stop))
        for part in missing
        for first in range(part.start, part.stop, length)
    ]


@contextmanager
def _connected(settings: PredictSettings) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if settings.scheduler is None:
        with (
            LocalCluster(
                n_workers=settings.processes, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(settings.scheduler, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "no Dask scheduler responds at this address",
            where="--scheduler",
            expected="the address of a Dask scheduler, such as tcp://host:8786",
            got=settings.scheduler,
            hint="Start one with `dask scheduler`, and workers with `dask worker tcp://host:8786 --nthreads 1`.",
        ) from error
    with client:
        yield client


def _check_versions(client: Any) -> None:
    try:
        found: Mapping[str, str] = client.run(version, PACKAGE)
    except PackageNotFoundError as error:
        raise SettingsError(
            "a worker does not have this package",
            where="--scheduler",
            expected=f"{PACKAGE} {__version__} on every machine",
            hint="Install it on the machines of the workers, and restart the workers.",
        ) from error
    if not found:
        raise SettingsError(
            "the scheduler has no workers", where="--scheduler", hint="Start some with `dask worker`."
        )
    other = {address: theirs for address, theirs in found.items() if theirs != __version__}
    if other:
        address, theirs = next(iter(other.items()))
        raise SettingsError(
            "a worker has another version of this package",
            where=address,
            expected=f"{PACKAGE} {__version__}",
            got=theirs,
            hint="Install the same version on every machine.",
        )
