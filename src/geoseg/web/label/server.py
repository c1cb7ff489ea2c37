"""Run the labelling page: one process, threads, this machine only by default."""

from __future__ import annotations

import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

from waitress import create_server

from geoseg.errors import SettingsError
from geoseg.settings.labelling import LabelSettings
from geoseg.settings.serving import is_loopback
from geoseg.web.label.access import MAX_FILE_BYTES, kept_token
from geoseg.web.label.app import create_label_app
from geoseg.workflows.labelling.session import LabelSession, open_session

_FIRST_PORT, _PORTS = 8420, 50
_TERMINATED = 128 + signal.SIGTERM
_THREADS = 8


def serve_label(settings: LabelSettings, announce: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Serve the page of a project until a signal arrives.

    Args:
        settings: Rasters, project and address.
        announce: Called with the address of the page, token included, once the page answers.
        say: Called with the folder of the project.

    Raises:
        SettingsError: The address is not available.
        GeoSegError: The project or a raster cannot be opened.
    """
    if not is_loopback(settings.host) and not settings.allow_network:
        raise SettingsError(
            "this address can be reached from other machines",
            where="--host",
            expected="127.0.0.1, or --allow-network as well",
            got=settings.host,
            hint="The connection is not encrypted: who listens on the network can read the token.",
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    session = open_session(settings)
    say(f"Project: {session.project.files.folder}")
    try:
        _serve(session, settings, announce)
    finally:
        session.close()


def _serve(session: LabelSession, settings: LabelSettings, announce: Callable[[str], None]) -> None:
    token = kept_token(session.project.files.folder)
    app = create_label_app(session, token=token, host=settings.host)
    server = _server(app, settings)
    shown = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
    port = server.effective_port
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/?token={token}"
    session.start()
    # The socket listens already: requests wait until the loop below runs.
    announce(address)
    if settings.browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        server.run()
    finally:
        server.close()


def _server(app: Any, settings: LabelSettings) -> Any:
    """Return a server on the wanted port, or on the first free one of a range."""
    wanted = [settings.port] if settings.port is not None else range(_FIRST_PORT, _FIRST_PORT + _PORTS)
    for port in wanted:
        try:
            return create_server(
                app,
                host=settings.host,
                port=port,
                threads=_THREADS,
                max_request_body_size=MAX_FILE_BYTES + 1,
                ident=None,
            )
        except OSError as error:
            fault = error
    raise SettingsError(
        "cannot listen on this address",
        where=f"{settings.host}:{settings.port or _FIRST_PORT}",
        got=fault.strerror or fault,
        hint="Choose another port with --port; 0 takes any free one.",
    ) from fault
