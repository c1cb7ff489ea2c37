"""Strips of maps spread over processes or machines, by Dask."""

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

import torch

from geoseg import __version__
from geoseg.domain.mapping.prediction import count_strips
from geoseg.domain.ports import NullProgress, Predictor, Progress
from geoseg.errors import ModelFileError, SettingsError
from geoseg.networks.models.model_file import read_model
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.engines import rebuild_predictor
from geoseg.workflows.mapping.raster_map import MapJob, make_strips, missing_ranges
from geoseg.workflows.process_tuning import tune_process

PACKAGE = "geoseg-pointai"
CHUNKS_A_WORKER = 4
MOST_STRIPS = 8
RETRIES = 2
CONNECT_S = 20


def spread_strips(works: Sequence[MapJob], *, progress: Progress) -> None:
    """Make the missing strips of all maps on workers; each keeps the strips it finishes.

    The workers write to the folder of the map, which they must see under the same path. A range of strips that fails is
    tried again elsewhere; what fails for good is left, and tried once more where the maps are put together.

    Raises:
        SettingsError: Dask is not installed, no worker is there, or one has another version of this package.
        OutputError: An unfinished map of other settings is there.
    """
    if find_spec("distributed") is None:
        raise SettingsError(
            "spreading work needs Dask", where="--processes", hint="pip install geoseg-pointai[cluster]"
        )
    from distributed import as_completed

    settings = works[0].settings
    with _connected(settings) as client:
        with suppress(TimeoutError):  # what follows says that there is none
            client.wait_for_workers(1, timeout=CONNECT_S)
        _check_versions(client)
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        threads = max(1, (os.cpu_count() or 1) // settings.processes) if settings.scheduler is None else None
        futures = {
            client.submit(make_on_worker, work, part, threads=threads, pure=False, retries=RETRIES): (
                work,
                part,
            )
            for work in works
            if work.made() is None
            for part in _chunks(work, workers)
        }
        progress.start("Predicting strips on workers", sum(len(part) for _, part in futures.values()))
        for future in as_completed(list(futures)):
            work, part = futures[future]
            error = future.exception()
            if error is not None:
                named = f"strips {part.start} to {part.stop - 1}"
                progress.warn(f"{work.task.info.path}: {named} failed on workers: {error}")
                continue
            progress.advance(len(part), f"on {future.result()}")


def make_on_worker(work: MapJob, part: range, *, threads: int | None) -> str:
    """Make a range of strips in this process; return the name of its machine and its number.

    Args:
        work: The map.
        part: Numbers of the strips.
        threads: Threads to compute with; None leaves it.
    """
    tune_process()
    if threads is not None:
        torch.set_num_threads(threads)
    settings = work.settings
    identity = tuple(work.engine.identity.items())
    predictor = _predictor(settings.model, settings.output_stride, identity)
    with work.open() as source:
        for missing in missing_ranges(work.store.finished(), part):
            make_strips(work, missing, predictor, source=source, progress=NullProgress())
    return f"{socket.gethostname()}:{os.getpid()}"


@lru_cache(maxsize=1)
def _predictor(path: Path, output_stride: Any, identity: tuple[tuple[str, Any], ...]) -> Predictor:
    """Read the model, and quantise it if need be, once a process.

    Raises:
        ModelFileError: It is not the model that the map was begun with.
    """
    model, wanted = read_model(path, output_stride), dict(identity)
    if model.sha256 != wanted["model_sha256"]:
        raise ModelFileError(
            "this is not the model that the map was begun with",
            where=path,
            expected=f"SHA-256 {wanted['model_sha256']}",
            got=model.sha256,
            hint="Was it trained anew meanwhile? Start the map anew with --overwrite.",
        )
    return rebuild_predictor(model, wanted)


def _chunks(work: MapJob, workers: int) -> list[range]:
    """Cut the missing strips into ranges; each costs one strip more than it has, so they are not too short."""
    work.begin()
    with work.open() as source:
        count = count_strips(source, work.engine.plan)
    missing = list(missing_ranges(work.store.finished(), range(count)))
    total = sum(map(len, missing))
    length = min(MOST_STRIPS, max(1, total // (CHUNKS_A_WORKER * max(1, workers))))
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
        client = Client(settings.scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "no scheduler answers there",
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
            hint="Install it where the workers run, and start them again.",
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
