"""The command ``geoseg worker``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from geoseg.cli.extras import with_extra

if TYPE_CHECKING:
    from threading import Event

PRIVATE = 0o077


def worker(
    models: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(
            help="Model files, or folders of them, as the service has. [default: by the settings]"
        ),
    ] = None,
    *,
    settings: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Settings file of the service (TOML); GEOSEG_... in the environment count too."),
    ] = None,
    data: Annotated[Optional[Path], typer.Option(help="Data folder of the service.")] = None,  # noqa: UP045
    queue: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Where jobs wait: sqlite, or an address such as redis://host:6379/0."),
    ] = None,
    device: Annotated[Optional[str], typer.Option(help="Where to compute: auto, cpu, cuda or mps.")] = None,  # noqa: UP045
    precision: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="In what to compute: auto, float32 or bf16."),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Map the large rasters that a service has taken as jobs, one at a time, until stopped."""
    import os
    import signal
    import threading

    from geoseg.settings.serving import read_serve_settings

    with_extra("serve")
    from geoseg.web.http.logs import log_to_stderr
    from geoseg.web.jobs.worker import work

    given = {"data": data, "queue": queue, "device": device, "precision": precision}
    read = read_serve_settings({"models": models or None, **given}, settings)
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

    # Not through sys.stdin, whose lock Python wants when it ends.
    while os.read(0, 1024):
        pass
    stop.set()
