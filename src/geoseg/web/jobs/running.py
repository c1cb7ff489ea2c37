"""Run one job."""

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
from geoseg.web.jobs.expiry import check_free_space
from geoseg.web.jobs.failures import attempts_exhausted, to_failure, unexpected_failure
from geoseg.web.jobs.fetching import fetch
from geoseg.web.jobs.progress import Cancelled, JobProgress, ReturnedToQueue
from geoseg.web.jobs.records import UPLOAD, Job, JobFailure, utc_now
from geoseg.web.jobs.sources import allowed_path, allowed_url, is_url
from geoseg.web.jobs.store import JobStore
from geoseg.web.models.model_paths import find_models
from geoseg.workflows.service_files import check_image, most_bands_of_file

LOG = logging.getLogger("geoseg.worker")


@dataclass(frozen=True)
class WorkerContext:
    """Settings and job store of a worker.

    Attributes:
        settings: How models are served.
        store: The jobs.
        is_stopping: Returns whether the worker has to stop.
    """

    settings: ServeSettings
    store: JobStore
    is_stopping: Callable[[], bool]


def run_job(context: WorkerContext, job_id: str) -> None:
    """Run a job from the queue, unless it is finished, deleted or running in another process.

    A job whose worker was killed resumes after its finished strips. A failure is recorded in the job.

    Raises:
        OutputError: The state of the job cannot be written; it stays unchanged and returns to the queue.
    """
    store = context.store
    with store.lock(job_id) as is_acquired:
        job = store.get(job_id) if is_acquired else None
        if job is None or job.is_over:
            return
        if store.is_cancelled(job_id):
            _close(store, job.model_copy(update={"state": "cancelled"}))
        elif job.tries >= context.settings.job_tries:
            _fail(store, job, attempts_exhausted(job.tries))
        else:
            _run_attempt(context, job)


def _run_attempt(context: WorkerContext, job: Job) -> None:
    store = context.store
    begun = {
        "state": "running",
        "tries": job.tries + 1,
        "started": job.started or utc_now(),
        "progress": None,
    }
    progress = JobProgress(job.model_copy(update=begun), store, context.is_stopping)
    store.save(progress.job)
    LOG.info("job begun", extra={"job": job.id, "model": job.request.model, "try": progress.job.tries})
    try:
        areas = _predict(context, progress)
    except ReturnedToQueue:
        store.save(progress.job.model_copy(update={"state": "queued", "tries": job.tries, "progress": None}))
        LOG.info("job given back", extra={"job": job.id})
    except Cancelled:
        _close(store, progress.job.model_copy(update={"state": "cancelled"}))
    except (GeoSegError, Problem) as error:
        LOG.warning("job failed", extra={"job": job.id, "fault": str(error)})
        _fail(store, progress.job, to_failure(error))
    except Exception:
        # The worker survives any error of a library; the log has the traceback.
        LOG.exception("job broke", extra={"job": job.id})
        _fail(store, progress.job, unexpected_failure())
    else:
        _close(store, progress.job.model_copy(update={"state": "done", "areas": areas}))


def _predict(context: WorkerContext, progress: JobProgress) -> list[dict[str, Any]]:
    """Write the results, and return the area of each class."""
    from geoseg.workflows.mapping.predict import predict

    request, settings = progress.job.request, context.settings
    progress.check()
    model = find_models(settings).get(request.model)
    if model is None:
        raise Problem(NO_MODEL, f"The model {request.model!r} no longer exists.")
    raster = _locate_raster(context, progress)
    bands = most_bands_of_file(model, settings.max_bands)
    header = check_image(raster, max_pixels=settings.max_job_pixels, max_bands=bands)
    charge(settings.data, progress.job, header.pixels)
    target, options = context.store.map_path(progress.job.id), request.options
    target.parent.mkdir(mode=0o700, exist_ok=True)
    maps = predict(
        PredictSettings(
            model=model,
            rasters=(raster,),
            output=target,
            confidence=target.with_suffix(".confidence.tif") if "confidence" in options.products else None,
            also=tuple(product for product in options.products if product != "confidence"),
            **options.model_dump(exclude={"products"}),
            backend=settings.backend,
            device=settings.device,
            precision=settings.precision,
            style="style" in options.products,
            overwrite=True,
        ),
        progress,
    )
    progress.job = progress.job.model_copy(update={"warnings": maps[0].warnings})
    return maps[0].areas


def _locate_raster(context: WorkerContext, progress: JobProgress) -> Path:
    """Return the raster of a job, downloaded if necessary; check again that its source is allowed."""
    store, settings, job = context.store, context.settings, progress.job
    source, uploaded = job.request.source, store.input_path(job.id)
    if source != UPLOAD and not is_url(source):
        return allowed_path(source, settings.allow_folders)
    if uploaded is not None:
        return uploaded
    if source == UPLOAD:
        raise Problem(GONE, "The raster of this job no longer exists.")
    address = allowed_url(source, settings.allow_urls)
    check_free_space(store, settings)
    return fetch(address, store.folder_of(job.id), max_mib=settings.max_job_upload_mib, progress=progress)


def _fail(store: JobStore, job: Job, problem: JobFailure) -> None:
    _close(store, job.model_copy(update={"state": "failed", "problem": problem}))


def _close(store: JobStore, job: Job) -> None:
    store.finish(job)
    LOG.info("job over", extra={"job": job.id, "state": job.state})
