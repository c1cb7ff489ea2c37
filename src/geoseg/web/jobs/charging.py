"""Charge the pixels of a job to its API key, once per job.

The key store keeps a record of each charged job. The pixels of a job that ends without a map are refunded.
"""

from __future__ import annotations

from pathlib import Path

from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.http.problems import NO_KEY, QUOTA, Problem
from geoseg.web.jobs.records import Job


def charge(data: Path, job: Job, pixels: int) -> None:
    """Charge the pixels of a job to the quota of its API key, unless they are charged already.

    Args:
        data: Data folder of the service.
        job: The job; nothing is charged if it has no owner.
        pixels: Height times width of the raster.

    Raises:
        Problem: The quota is used up, or the key has been revoked.
        OutputError: The key store cannot be used.
    """
    if job.request.owner is None:
        return
    keys = KeyStore(data / FILE_NAME)
    key = keys.get(job.request.owner)
    if key is None:
        raise Problem(NO_KEY, "The API key of this job has been revoked.")
    if keys.charge_pixels(key, pixels, job.id) is not None:
        detail = f"This key may map {key.pixels_per_day} pixels per day; this image has {pixels}."
        raise Problem(QUOTA, detail)


def refund(data: Path, job_id: str) -> None:
    """Refund the pixels of a job that ends without a map.

    Raises:
        OutputError: The key store cannot be used.
    """
    if (data / FILE_NAME).exists():
        KeyStore(data / FILE_NAME).refund_pixels(job_id)


def delete_charge(data: Path, job_id: str) -> None:
    """Delete the charge record of a removed job; its pixels stay charged.

    Raises:
        OutputError: The key store cannot be used.
    """
    if (data / FILE_NAME).exists():
        KeyStore(data / FILE_NAME).delete_charge(job_id)
