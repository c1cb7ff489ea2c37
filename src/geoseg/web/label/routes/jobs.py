"""Jobs of the page, and files to download."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from flask import Response, send_file
from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.label.errors import NOT_USABLE
from geoseg.web.label.job_payloads import ExportAnswer, ExportPath, JobAnswer, JobPath, JobRequest
from geoseg.web.label.openapi_document import SECURITY, list_of, responses
from geoseg.web.label.state import session
from geoseg.workflows.labelling.exports import export_file, list_exports

api = APIBlueprint(
    "jobs", __name__, url_prefix="/v1/project", abp_tags=[Tag(name="jobs")], abp_security=SECURITY
)
_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@api.post("/jobs", summary="Start a job", responses=responses(JobAnswer, NOT_USABLE, status=202))
def start_job(body: JobRequest) -> tuple[dict[str, Any], int]:
    """Train a model well, or map whole rasters by the model trained last, in a process of its own."""
    jobs = session().jobs
    job = jobs.train(body.recipe) if body.kind == "train" else jobs.map(body.rasters)
    return job.to_record(), 202


@api.get("/jobs", summary="Jobs", responses=responses(list_of("JobAnswer")))
def list_jobs() -> list[dict[str, Any]]:
    """Return all jobs since the start of the page's server, the newest first."""
    return session().jobs.records()


@api.delete("/jobs/<string:job_id>", summary="Cancel a job", responses=responses(JobAnswer, problems.NO_JOB))
def cancel_job(path: JobPath) -> dict[str, Any]:
    """Stop a job."""
    job = session().jobs.cancel(path.job_id)
    if job is None:
        raise Problem(problems.NO_JOB, "There is no such job.")
    return job.to_record()


@api.get("/export", summary="What can be exported", responses=responses(ExportAnswer))
def exports() -> dict[str, Any]:
    """Return the files that can be downloaded, and what they lack."""
    return list_exports(session().project)


@api.get("/export/<string:name>", summary="Download a file", responses=responses(_FILE, NOT_USABLE))
def export(path: ExportPath) -> Response:
    """Return points.gpkg, model.geoseg, map-ID.tif, confidence-ID.tif, polygons-ID.gpkg or report.html."""
    current = session()
    with tempfile.TemporaryDirectory(prefix="geoseg-export-") as folder:
        # An open file outlives its folder.
        file = export_file(current.project, path.name, work=Path(folder), status=current.status()).open("rb")
    return send_file(file, as_attachment=True, download_name=path.name)
