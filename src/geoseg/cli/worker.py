"""The command ``geoseg worker``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.extras import with_extra
from geoseg.cli.options import PanelCommand, with_options
from geoseg.cli.serve import SettingsFile
from geoseg.settings.serving import ServeSettings, read_serve_settings

if TYPE_CHECKING:
    from threading import Event

PRIVATE = 0o077


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=PanelCommand, epilog="Example: geoseg worker --settings service.toml")
@with_options(ServeSettings, only=("models", "data", "queue", "device", "precision"), optional=("models",))
def worker(
    values: dict[str, Any],
    *,
    settings: SettingsFile = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Run the jobs of a service one at a time, until stopped."""
    import os
    import signal
    import threading

    with_extra("serve")
    from geoseg.web.http.logs import log_to_stderr
    from geoseg.web.jobs.worker import work

    read = read_serve_settings(values, settings)
    os.umask(PRIVATE)
    log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if with_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    work(read, stop)


def _wait_for_end_of_input(stop: Event) -> None:
    import os

    # Do not use sys.stdin: Python needs its lock at exit.
    while os.read(0, 1024):
        pass
    stop.set()
