"""Access to the labelling page: a token, the host that a browser names, and headers that confine the page."""

from __future__ import annotations

import hmac
import os
import secrets
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, redirect, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from geoseg.web.http.problems import Problem, ProblemType

COOKIE = "geoseg_label"
MIB = 1 << 20
MAX_JSON_BYTES, MAX_FILE_BYTES = 16 * MIB, 256 * MIB
FORBIDDEN_HOST = ProblemType("forbidden-host", 403, "The address of this request is not that of the page")
NO_TOKEN = ProblemType("no-token", 401, "The token of the page is needed")
_UPLOADS = ("points.import_points", "classes.import_classes")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
}
_TOKEN_KEY, _HOST_KEY = "GEOSEG_LABEL_TOKEN", "GEOSEG_LABEL_HOST"
_TOKEN_FILE, _TOKEN_LENGTH = ".token", 32
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def kept_token(folder: Path) -> str:
    """Return the token of a project, which stays the same so that an open page goes on after a restart.

    A file that others can read or that belongs to somebody else is replaced: they may know its token.
    """
    path = folder / _TOKEN_FILE
    try:
        found, state = path.read_text(encoding="ascii").strip(), path.stat()
    except (OSError, ValueError):
        found, state = "", None
    if state and len(found) >= _TOKEN_LENGTH and _is_private(state):
        return found
    token = secrets.token_urlsafe(24)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token)
    return token


def _is_private(state: os.stat_result) -> bool:
    if os.name == "nt":
        return True
    return state.st_uid == os.getuid() and not state.st_mode & 0o077


def install(app: Flask, *, token: str, host: str) -> None:
    """Protect all routes of an app.

    Args:
        app: The app.
        token: The token that every request must carry, as cookie, bearer token or once in the address.
        host: The address that the server listens on.
    """
    app.config[_TOKEN_KEY], app.config[_HOST_KEY] = token, host
    app.before_request(_check)
    app.after_request(_add_headers)


def _check() -> BaseResponse | None:
    """Check host, token and size of a request, before its body is read."""
    g.request_id = secrets.token_hex(8)
    if not is_own_host(request.host, current_app.config[_HOST_KEY]):
        raise Problem(FORBIDDEN_HOST, "Open the page at the address that geoseg label printed.")
    _check_origin()
    if request.endpoint == "page.page" and "token" in request.args:
        return _welcome(request.args["token"])
    if not _has_token():
        raise Problem(
            NO_TOKEN,
            "Open the address that geoseg label printed, with its token, or send 'Authorization: Bearer TOKEN'.",
            headers={"WWW-Authenticate": 'Bearer realm="geoseg label"'},
        )
    request.max_content_length = MAX_FILE_BYTES if request.endpoint in _UPLOADS else MAX_JSON_BYTES
    if (request.content_length or 0) > request.max_content_length:
        raise RequestEntityTooLarge
    return None


def is_own_host(named: str, host: str) -> bool:
    """Return whether the host that a client names is the one that the server listens on.

    A page of another site whose name is made to point here (DNS rebinding) names its own host.
    """
    try:
        name = urlsplit(f"//{named}").hostname or ""
    except ValueError:
        return False
    if name == host:
        return True
    try:
        address, own = ip_address(name), None if host == "localhost" else ip_address(host)
    except ValueError:
        return name == "localhost" and _is_local(host)
    if own is None or own.is_loopback:
        return address.is_loopback
    return own.is_unspecified


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False


def _check_origin() -> None:
    """Refuse changes that another site asks for."""
    origin = request.headers.get("Origin")
    if request.method in _SAFE_METHODS or origin is None:
        return
    if urlsplit(origin).netloc != request.host:
        raise Problem(FORBIDDEN_HOST, "Another site may not change this project.")


def _has_token() -> bool:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    given = text.strip() if kind.lower() == "bearer" else request.cookies.get(_cookie_name(), "")
    return _is_token(given)


def _is_token(text: str) -> bool:
    return hmac.compare_digest(text.encode(), cast(str, current_app.config[_TOKEN_KEY]).encode())


def _cookie_name() -> str:
    """Return the name of the cookie; browsers share cookies between the ports of a host, so it names the port."""
    port = urlsplit(f"//{request.host}").port
    return COOKIE if port is None else f"{COOKIE}_{port}"


def _welcome(token: str) -> BaseResponse:
    """Keep the token of the address in a cookie, and remove it from the address."""
    if not _is_token(token):
        raise Problem(NO_TOKEN, "This token is not that of the running page. Copy the whole address again.")
    answer = redirect("/")
    answer.set_cookie(_cookie_name(), token, httponly=True, samesite="Strict", path="/")
    return answer


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response
