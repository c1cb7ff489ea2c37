"""The waitress server, which does not read the body of a rejected request."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask_openapi3 import OpenAPI
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from geoseg.errors import OutputError
from geoseg.settings.serving import ServeSettings
from geoseg.web.app import service_of_app
from geoseg.web.http.access import MIB, api_key_text, is_public_endpoint, max_body_bytes

_IDLE_S = 60


def waitress_server(app: OpenAPI, settings: ServeSettings) -> tuple[Any, list[tuple[str, int]]]:
    """Return a waitress server and the addresses that it listens on.

    By default, waitress reads a whole body into a temporary file before the application sees the request. Here it reads
    no body without a valid API key, and no more than the limit of the endpoint.
    """
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        max_request_body_size=int(settings.max_job_upload_mib * MIB) + 1,
        channel_timeout=_IDLE_S,
        # The app itself decides which proxies to trust (``proxies``).
        clear_untrusted_proxy_headers=False,
        ident=None,
    )
    listeners = [channel for channel in sockets.values() if hasattr(channel, "channel_class")]
    for listener in listeners:
        listener.channel_class = _channel_class(BodyLimits(app, settings))
    threads = server.task_dispatcher
    # The default is five seconds.
    threads.shutdown = partial(threads.shutdown, timeout=settings.grace_s)
    return server, [(listener.effective_host, listener.effective_port) for listener in listeners]


class BodyLimits:
    """Limits of request bodies, by method, path and headers.

    Args:
        app: The application.
        settings: How models are served.
    """

    def __init__(self, app: OpenAPI, settings: ServeSettings) -> None:
        self._urls = app.url_map.bind("localhost")
        self._keys, self._settings = service_of_app(app).keys, settings

    def max_body_bytes(self, method: str, path: str, headers: Headers) -> int:
        """Return the most bytes to read of a body; 0 if a valid API key is needed and missing."""
        try:
            endpoint, _ = self._urls.match(path, method)
        except HTTPException:
            endpoint = None
        if self._keys is not None and not is_public_endpoint(endpoint):
            try:
                is_valid = self._keys.is_valid(api_key_text(headers))
            except OutputError:  # The application reports it.
                is_valid = False
            if not is_valid:
                return 0
        return max_body_bytes(endpoint, headers, self._settings)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Request parser that reads a body up to the limit; the application then answers with the problem."""

    limits: BodyLimits
    body_rcv: Any
    content_length: int
    _limit = 0
    _is_refused = False

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            headers = Headers({name.replace("_", "-"): value for name, value in self.headers.items()})
            self._limit = self.limits.max_body_bytes(self.command, self.path, headers)
            if self._limit == 0 or self.content_length > self._limit:
                self._refuse(self.content_length)

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        if self.chunked and not self._is_refused and self.body_bytes_received > self._limit:
            self._refuse(self._limit + 1)
        # The bytes after the header of a rejected request are its body, not the next request.
        return len(data) if self._is_refused else consumed

    def _refuse(self, length: int) -> None:
        """Pass the request to the application without its body, and close the connection after the response."""
        if self.body_rcv is not None:
            self.body_rcv.getfile().close()
        self.body_rcv, self.content_length, self.chunked = None, 0, False
        self.headers |= {"CONTENT_LENGTH": str(length), "CONNECTION": "close"}
        self.expect_continue, self.connection_close = False, True
        self._is_refused = self.completed = True


def _channel_class(limits: BodyLimits) -> type[HTTPChannel]:
    parser = type("Parser", (_Parser,), {"limits": limits})
    return type("Channel", (HTTPChannel,), {"parser_class": parser})
