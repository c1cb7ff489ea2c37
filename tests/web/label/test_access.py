"""The page answers to who has the token, at its own address."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.web.label.conftest import TOKEN

from geoseg.web.label.access import is_own_host, kept_token
from geoseg.web.label.app import create_label_app
from geoseg.workflows.labelling.session import LabelSession


def test_the_token_of_the_address_becomes_a_cookie_that_scripts_cannot_read(session: LabelSession) -> None:
    client = create_label_app(session, token=TOKEN).test_client()
    assert client.get("/v1/project").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    answer = client.get(f"/?token={TOKEN}")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/v1/project").status_code == 200


def test_a_bearer_token_does_without_a_cookie(session: LabelSession) -> None:
    client = create_label_app(session, token=TOKEN).test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/v1/project", headers=headers).status_code == 200
    assert client.get("/v1/project", headers={"Authorization": "Bearer no"}).status_code == 401


@pytest.mark.parametrize(
    ("named", "host", "expected"),
    [
        ("127.0.0.1:8420", "127.0.0.1", True),
        ("localhost:8420", "127.0.0.1", True),
        ("[::1]:8420", "::1", True),
        ("evil.example:8420", "127.0.0.1", False),
        ("192.168.0.7:8420", "127.0.0.1", False),
        ("192.168.0.7:8420", "0.0.0.0", True),
        ("evil.example", "0.0.0.0", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
def test_only_the_own_host_is_answered(named: str, host: str, expected: bool) -> None:
    assert is_own_host(named, host) is expected


def test_another_host_or_another_site_is_refused(client: FlaskClient) -> None:
    assert client.get("/v1/project", headers={"Host": "evil.example"}).status_code == 403
    body = {"name": "road"}
    answer = client.post("/v1/project/classes", json=body, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    own = client.post("/v1/project/classes", json=body, headers={"Origin": "http://localhost"})
    assert own.status_code == 200


def test_the_page_is_confined_to_its_own_scripts(client: FlaskClient) -> None:
    policy = client.get("/v1/project").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "../../../../../../etc/passwd", "nothing.js"])
def test_no_file_beside_the_page_is_served(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_a_large_body_is_refused_before_it_is_read(client: FlaskClient) -> None:
    answer = client.post(
        "/v1/project/changes", data=b"{" + b" " * (17 << 20), content_type="application/json"
    )
    assert answer.status_code == 413


def test_every_path_is_in_the_openapi_document(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    rules = {
        str(rule)
        for rule in client.application.url_map.iter_rules()
        if str(rule).startswith("/v1") and not str(rule).startswith("/v1/openapi")
    }
    plain = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    assert {
        "".join(part.split(":")[-1] if ":" in part else part for part in _parts(rule)) for rule in rules
    } == plain
    assert all(one["security"] for path in document["paths"].values() for one in path.values())


def _parts(rule: str) -> list[str]:
    """Split a rule such as /a/<int:b> so that converters stand apart."""
    found, text = [], rule
    while "<" in text:
        before, _, rest = text.partition("<")
        inside, _, text = rest.partition(">")
        found += [before, "<", inside, ">"]
    return [*found, text]


def test_a_project_keeps_its_token_so_that_an_open_page_goes_on_after_a_restart(tmp_path: Path) -> None:
    token = kept_token(tmp_path)
    assert kept_token(tmp_path) == token
    assert (tmp_path / ".token").stat().st_mode & 0o777 == 0o600


def test_a_token_that_others_can_read_is_replaced(tmp_path: Path) -> None:
    token = kept_token(tmp_path)
    (tmp_path / ".token").chmod(0o644)
    assert kept_token(tmp_path) != token
    assert (tmp_path / ".token").stat().st_mode & 0o777 == 0o600


def test_a_token_that_can_be_guessed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / ".token"
    path.touch(mode=0o600)
    path.write_text("short", encoding="ascii")
    assert len(kept_token(tmp_path)) >= 32
