"""Charge the pixels of a job to the API key that it belongs to: once, whoever asks and however often.

The key store keeps one record for each job that is charged. A job that ends without a map gives its pixels back.
"""

from __future__ import annotations

from pathlib import Path

from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.http.problems import NO_KEY, QUOTA, Problem
from geoseg.web.jobs.records import Job


def charge(data: Path, job: Job, pixels: int) -> None:
    """Count the pixels of a job's raster against the quota of its key, unless that has been done.

    Args:
        data: The service's data folder.
        job: The job; one without an owner costs nothing.
        pixels: Height times width of its raster.

    Raises:
        Problem: The quota is used up, or the key has been revoked.
        OutputError: The key store cannot be used.
    """
    if job.order.owner is None:
        return
    keys = KeyStore(data / FILE_NAME)
    key = keys.get(job.order.owner)
    if key is None:
        raise Problem(NO_KEY, "The key that this job belongs to has been revoked.")
    if keys.charge_pixels(key, pixels, job.id) is not None:
        detail = f"This key may map {key.pixels_per_day} pixels a day; this image has {pixels}."
        raise Problem(QUOTA, detail)


def refund(data: Path, job_id: str) -> None:
    """Give back the pixels of a job that ends without a map.

    Raises:
        OutputError: The key store cannot be used.
    """
    if (data / FILE_NAME).exists():
        KeyStore(data / FILE_NAME).refund_pixels(job_id)


def delete_charge(data: Path, job_id: str) -> None:
    """Drop the record of a job that is removed; the pixels of its map stay taken.

    Raises:
        OutputError: The key store cannot be used.
    """
    if (data / FILE_NAME).exists():
        KeyStore(data / FILE_NAME).delete_charge(job_id)
