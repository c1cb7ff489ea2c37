"""Routes of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.http import problems
from geoseg.web.models.registry import RegisteredModel
from geoseg.web.routes.openapi_document import SECURITY, problem_responses
from geoseg.web.routes.payloads import ModelAnswer, ModelsAnswer, NamePath
from geoseg.web.service import service

if TYPE_CHECKING:
    from geoseg.learning.model_record import ModelRecord

VERSION_DIGITS = 12
_TAG = Tag(name="models", description="Models of the service")
api = APIBlueprint("models", __name__, abp_tags=[_TAG], abp_security=SECURITY)


@api.get("/v1/models", summary="All models", responses={200: ModelsAnswer, **problem_responses()})
def list_models() -> dict[str, Any]:
    """Return all models, the default first."""
    registry = service().registry
    return {
        "models": [
            _describe(registry.get(name), is_default=n == 0) for n, name in enumerate(registry.names())
        ]
    }


@api.get(
    "/v1/models/<string:name>",
    summary="One model",
    responses={200: ModelAnswer, **problem_responses(problems.NO_MODEL)},
)
def show_model(path: NamePath) -> dict[str, Any]:
    """Return the legend, bands, ground resolution, training record, accuracy and hash of a model."""
    registry = service().registry
    found = registry.get(path.name)
    return _describe(found, is_default=path.name == next(iter(registry.names()), None))


def version_of(sha256: str) -> str:
    """Return the version of a model: the first digits of the hash of its file."""
    return sha256[:VERSION_DIGITS]


def _describe(found: RegisteredModel, *, is_default: bool) -> dict[str, Any]:
    model = found.model
    summary: dict[str, Any] = {
        "name": found.name,
        "version": version_of(model.sha256) if model else None,
        "sha256": model.sha256 if model else None,
        "state": "ready" if model else "failed" if found.is_file_bad else "loading",
        "is_default": is_default,
        "is_file_bad": found.is_file_bad,
    }
    if model is None:
        return summary
    record = model.record
    training = {k: v for k, v in record.training.items() if k not in _OMITTED}
    return summary | {
        "recipe": record.recipe,
        "classes": record.legend.to_records(),
        "bands": list(record.bands),
        "resolution_m": record.resolution_m,
        "accuracy": _accuracy(record),
        "training": training,
        "computing": model.computing,
    }


# Long lists, and paths of the training machine.
_OMITTED = ("places", "history", "settings", "weights")


def _accuracy(record: ModelRecord) -> dict[str, float] | None:
    """Return the scores of the selected epoch at validation points, or None."""
    history = {epoch["epoch"]: epoch for epoch in record.training.get("history", [])}
    kept = history.get(record.training.get("epoch"), {})
    names = {"check_miou": "miou", "check_accuracy": "overall_accuracy"}
    return {new: kept[old] for old, new in names.items() if old in kept} or None
