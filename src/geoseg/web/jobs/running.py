"""Run one job from beginning to end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import GeoSegError
from geoseg.settings import PredictSettings
from geoseg.settings.serving import ServeSettings
from geoseg.web.http.problems import GONE, NO_MODEL, Problem
from geoseg.web.jobs.charging import charge
from geoseg.web.jobs.expiry import check_room
from geoseg.web.jobs.faults import fault_of, unforeseen, worn_out
from geoseg.web.jobs.fetching import fetch
from geoseg.web.jobs.records import UPLOAD, Fault, Job, utc_now
from geoseg.web.jobs.sources import allowed_address, allowed_path, is_address
from geoseg.web.jobs.store import JobStore
from geoseg.web.jobs.watch import Cancelled, JobProgress, ReturnedToQueue
from geoseg.web.models.model_paths import find_models
from geoseg.workflows.service_files import check_image

LOG = logging.getLogger("geoseg.worker")


@dataclass(frozen=True)
class WorkerContext:
    """What a worker works with.

    Attributes:
        settings: How models are served.
        store: The jobs.
        is_stopping: Says whether the worker is to stop.
    """

    settings: ServeSettings
    store: JobStore
    is_stopping: Callable[[], bool]


def run_job(place: WorkerContext, job_id: str) -> None:
    """Run a job that was delivered; nothing happens if it is over, gone, or another process works on it.

    A job whose worker was killed goes on from its finished strips. What fails is written into the job.

    Raises:
        OutputError: The job's state cannot be written; it stays as it is, to be delivered again.
    """
    store = place.store
    with store.lock(job_id) as is_ours:
        job = store.get(job_id) if is_ours else None
        if job is None or job.is_over:
            return
        if store.is_cancelled(job_id):
            _close(store, job.model_copy(update={"state": "cancelled"}))
        elif job.tries >= place.settings.job_tries:
            _fail(store, job, worn_out(job.tries))
        else:
            _try(place, job)


def _try(place: WorkerContext, job: Job) -> None:
    store = place.store
    begun = {
        "state": "running",
        "tries": job.tries + 1,
        "started": job.started or utc_now(),
        "progress": None,
    }
    watch = JobProgress(job.model_copy(update=begun), store, place.is_stopping)
    store.save(watch.job)
    LOG.info("job begun", extra={"job": job.id, "model": job.order.model, "try": watch.job.tries})
    try:
        areas = _map(place, watch)
    except ReturnedToQueue:
        store.save(watch.job.model_copy(update={"state": "queued", "tries": job.tries, "progress": None}))
        LOG.info("job given back", extra={"job": job.id})
    except Cancelled:
        _close(store, watch.job.model_copy(update={"state": "cancelled"}))
    except (GeoSegError, Problem) as error:
        LOG.warning("job failed", extra={"job": job.id, "fault": str(error)})
        _fail(store, watch.job, fault_of(error))
    except Exception:
        # A worker outlives whatever a raster does to a library; the log has the whole story, the client has the id.
        LOG.exception("job broke", extra={"job": job.id})
        _fail(store, watch.job, unforeseen())
    else:
        _close(store, watch.job.model_copy(update={"state": "done", "areas": areas}))


def _map(place: WorkerContext, watch: JobProgress) -> list[dict[str, Any]]:
    """Make the results, and return what each class covers."""
    from geoseg.workflows.mapping.predict import predict

    order, settings = watch.job.order, place.settings
    watch.check()
    model = find_models(settings).get(order.model)
    if model is None:
        raise Problem(NO_MODEL, f"There is no model {order.model!r} any more.")
    raster = _raster(place, watch)
    header = check_image(raster, max_pixels=settings.max_job_pixels, max_bands=settings.max_bands)
    charge(settings.data, watch.job, header.pixels)
    target, wish = place.store.map_path(watch.job.id), order.wish
    target.parent.mkdir(mode=0o700, exist_ok=True)
    maps = predict(
        PredictSettings(
            model=model,
            rasters=(raster,),
            output=target,
            confidence=target.with_suffix(".confidence.tif") if "confidence" in wish.products else None,
            also=tuple(product for product in wish.products if product != "confidence"),
            min_area=wish.min_area,
            simplify=wish.simplify,
            resample=wish.resample,
            tta=wish.tta,
            nodata=wish.nodata,
            strict_nodata=wish.strict_nodata,
            any_values=wish.any_values,
            backend=settings.backend,
            device=settings.device,
            precision=settings.precision,
            style="style" in wish.products,
            overwrite=True,
        ),
        watch,
    )
    watch.job = watch.job.model_copy(update={"warnings": maps[0].warnings})
    return maps[0].areas


def _raster(place: WorkerContext, watch: JobProgress) -> Path:
    """Return the raster of a job, fetched if need be; whether it may be read is decided anew."""
    store, settings, job = place.store, place.settings, watch.job
    source, here = job.order.source, store.input(job.id)
    if source != UPLOAD and not is_address(source):
        return allowed_path(source, settings.allow_folders)
    if here is not None:
        return here
    if source == UPLOAD:
        raise Problem(GONE, "The raster of this job is no longer there.")
    address = allowed_address(source, settings.allow_urls)
    check_room(store, settings)
    return fetch(address, store.folder_of(job.id), max_mib=settings.max_job_upload_mib, progress=watch)


def _fail(store: JobStore, job: Job, problem: Fault) -> None:
    _close(store, job.model_copy(update={"state": "failed", "problem": problem}))


def _close(store: JobStore, job: Job) -> None:
    store.close(job)
    LOG.info("job over", extra={"job": job.id, "state": job.state})
