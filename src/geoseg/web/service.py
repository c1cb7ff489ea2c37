"""The service: what the requests of a process share."""

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
    """What the requests of a process share.

    Attributes:
        settings: How models are served.
        registry: The models.
        admission: Who may predict.
        keys: The API keys; None where none is needed.
        jobs: The jobs, which all processes share.
        queue: Where they wait for workers.
        metrics: What is counted.
    """

    settings: ServeSettings
    registry: ModelRegistry
    admission: Admission
    keys: KeyStore | None
    jobs: JobStore
    queue: JobQueue
    metrics: Metrics

    def close(self) -> None:
        """Let go of the models."""
        self.registry.close()


def service() -> Service:
    """Return the service of the app that answers the present request."""
    return cast(Service, current_app.extensions[EXTENSION])
