"""The OpenAPI document and the service keep to each other: requests made up from the one, answers of the other."""

from __future__ import annotations

import warnings
from collections import Counter

import hypothesis
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode, checks

REQUESTS = 1_000
URI_TOO_LONG = 414
"""The server answers this before the service sees the request."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def schema(serve_session, model, tmp_path_factory):
    server = serve_session(
        model,
        data=tmp_path_factory.mktemp("contract"),
        job_workers=0,
        allow_folders=tmp_path_factory.mktemp("open"),
    )
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_made_up_requests_get_answers_that_the_document_lists(schema):
    operations = [found.ok() for found in schema.get_all_operations()]
    statuses = Counter()
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # What takes nothing can only be asked one way.
    taking = [found for found in operations if found.query or found.path_parameters or found.body]
    each = -(-REQUESTS // (len(taking) * len(modes))) + 40
    for operation in operations:
        for mode in modes if operation in taking else modes[:1]:
            try_all(operation, mode, each, statuses=statuses)
    assert not {status for status in statuses if status >= 500}
    assert {200, 404, 422} <= set(statuses)
    assert sum(statuses.values()) >= REQUESTS


def try_all(operation, mode, count, *, statuses):
    made = Counter()

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(mode))
    def try_one(case):
        answer = case.call(timeout=60)
        made[answer.status_code] += 1
        if answer.status_code == URI_TOO_LONG:
            return
        case.validate_response(answer, checks=CHECKS)

    try_one()
    statuses.update(made)
