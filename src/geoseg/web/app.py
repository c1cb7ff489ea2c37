"""The application factory of the service."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from flask_openapi3 import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from geoseg.errors import OutputError
from geoseg.settings.serving import ServeSettings
from geoseg.web import error_handlers, request_hooks
from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.http.admission import Admission
from geoseg.web.http.uploads import spooling_request_class
from geoseg.web.jobs.queue import open_queue
from geoseg.web.jobs.spool import FOLDER
from geoseg.web.jobs.store import JobStore
from geoseg.web.metrics import Metrics
from geoseg.web.models.registry import ModelRegistry
from geoseg.web.routes import health, models, openapi_document, predictions
from geoseg.web.routes import jobs as job_routes
from geoseg.web.routes.payloads import ProblemAnswer
from geoseg.web.service import EXTENSION, Service
from geoseg.workflows.mapping.live import Batching, LoadedModel, load_into_memory


def create_app(settings: ServeSettings) -> OpenAPI:
    """Return the WSGI application; a thread loads the models.

    Raises:
        SettingsError: A model path does not exist, or two models have the same name.
        OutputError: The data folder cannot be created or written to.
    """
    app = app_without_service()
    private_folder(settings.data)
    app.request_class = spooling_request_class(private_folder(settings.data / FOLDER))
    app.extensions[EXTENSION] = service = _create_service(settings)
    request_hooks.install(app)
    error_handlers.install(app)
    if settings.proxies:
        n = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n, x_prefix=n)  # type: ignore[method-assign]
    service.registry.start()
    return app


def app_without_service() -> OpenAPI:
    """Return the application with its routes and their OpenAPI document, but without models, jobs and keys."""
    app = OpenAPI(
        __name__,
        info=openapi_document.INFO,
        security_schemes=openapi_document.SECURITY_SCHEMES,
        validation_error_model=ProblemAnswer,
        validation_error_callback=error_handlers.answer_validation_error,
        doc_prefix="/docs",
        static_folder=None,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for blueprint in (health.api, models.api, predictions.api, job_routes.api):
        app.register_api(blueprint)
    openapi_document.install(app)
    return app


def service_of_app(app: OpenAPI) -> Service:
    """Return the service of an app."""
    return cast(Service, app.extensions[EXTENSION])


def _create_service(settings: ServeSettings) -> Service:
    jobs = JobStore(settings.data)
    metrics = Metrics(jobs.counts)
    sharing = Batching(settings.batch, settings.batch_wait_ms / 1000, metrics.observe_batch)

    def load(path: Path) -> LoadedModel:
        return load_into_memory(
            path,
            device=settings.device,
            precision=settings.precision,
            backend=settings.backend,
            sharing=sharing,
        )

    return Service(
        settings=settings,
        registry=ModelRegistry(settings, load),
        admission=Admission(settings.pending),
        keys=KeyStore(settings.data / FILE_NAME) if settings.needs_keys else None,
        jobs=jobs,
        queue=open_queue(settings),
        metrics=metrics,
    )


def private_folder(path: Path) -> Path:
    """Create a folder that only this user can read, unless it exists.

    Raises:
        OutputError: It cannot be created.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot create this folder", where=path, got=error.strerror or error) from error
    return path.resolve()
