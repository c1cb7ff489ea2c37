"""The service: state that all requests of a process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from geoseg.settings.serving import ServeSettings
from geoseg.web.auth.keys import KeyStore
from geoseg.web.http.admission import Admission
from geoseg.web.jobs.queue import JobQueue
from geoseg.web.jobs.store import JobStore
from geoseg.web.metrics import Metrics
from geoseg.web.models.registry import ModelRegistry

EXTENSION = "geoseg"


@dataclass(frozen=True)
class Service:
    """State that all requests of a process share.

    Attributes:
        settings: How models are served.
        registry: Models in memory.
        admission: Limit of concurrent predictions.
        keys: API keys; None if requests need none.
        jobs: Jobs, shared by all processes.
        queue: Queue of jobs that wait for a worker.
        metrics: Prometheus metrics.
    """

    settings: ServeSettings
    registry: ModelRegistry
    admission: Admission
    keys: KeyStore | None
    jobs: JobStore
    queue: JobQueue
    metrics: Metrics

    def close(self) -> None:
        """Unload the models."""
        self.registry.close()


def service() -> Service:
    """Return the service of the current app."""
    return cast(Service, current_app.extensions[EXTENSION])
