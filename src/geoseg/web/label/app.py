"""The application of the labelling page."""

from __future__ import annotations

from flask import jsonify
from flask.wrappers import Response
from flask_openapi3 import OpenAPI

from geoseg.web.error_handlers import answer_validation_error
from geoseg.web.label import access, errors
from geoseg.web.label.openapi_document import INFO, SECURITY_SCHEMES
from geoseg.web.label.payloads import ProblemAnswer
from geoseg.web.label.routes import jobs, model, page, points, project, tiles
from geoseg.web.label.state import EXTENSION
from geoseg.workflows.labelling.session import LabelSession


def create_label_app(session: LabelSession, *, token: str, host: str = "127.0.0.1") -> OpenAPI:
    """Return the WSGI application of the page.

    Args:
        session: The open project.
        token: The token that every request must carry.
        host: The address that the server listens on.
    """
    app = app_without_session()
    app.extensions[EXTENSION] = session
    access.install(app, token=token, host=host)
    errors.install(app)
    return app


def app_without_session() -> OpenAPI:
    """Return the application with its routes and their OpenAPI document, but without a project."""
    app = OpenAPI(
        __name__,
        info=INFO,
        security_schemes=SECURITY_SCHEMES,
        validation_error_model=ProblemAnswer,
        validation_error_callback=answer_validation_error,
        doc_ui=False,
        static_folder=None,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for blueprint in (project.api, points.api, tiles.api, model.api, jobs.api, page.api):
        app.register_api(blueprint)

    @app.get("/openapi.json", summary="This document", doc_ui=False)
    def document() -> Response:
        return jsonify(app.api_doc)

    return app
