"""The command ``geoseg serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from geoseg.cli.extras import with_extra
from geoseg.cli.options import given


def serve(
    models: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Model files, or folders of them; the first is the default."),
    ] = None,
    settings: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="TOML file of settings; any can be given as GEOSEG_NAME in the environment too."),
    ] = None,
    host: Annotated[Optional[str], typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,  # noqa: UP045
    port: Annotated[Optional[int], typer.Option(help="Port to listen on. [default: 5000]")] = None,  # noqa: UP045
    workers: Annotated[Optional[int], typer.Option(help="Processes that answer. [default: 1]")] = None,  # noqa: UP045
    threads: Annotated[
        int | None, typer.Option(help="Requests a process handles at once. [default: 32]")
    ] = None,
    job_workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes that work on jobs; 0 leaves them to geoseg worker. [default: 1]"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder for keys and jobs. [default: geoseg-data]")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="sqlite, or redis://host:6379/0. [default: sqlite]")
    ] = None,
    keys: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="on, off, or auto: needed unless the address is loopback. [default: auto]"),
    ] = None,
    proxies: Annotated[Optional[int], typer.Option(help="Reverse proxies in front. [default: 0]")] = None,  # noqa: UP045
    device: Annotated[Optional[str], typer.Option(help="auto, cpu, cuda or mps. [default: auto]")] = None,  # noqa: UP045
    precision: Annotated[Optional[str], typer.Option(help="auto, float32 or bf16. [default: auto]")] = None,  # noqa: UP045
    backend: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="torch, onnx, openvino, or auto. [default: torch]"),
    ] = None,
) -> None:
    """Serve models over HTTP: maps of images at once, and of large rasters as jobs."""
    from geoseg.settings.serving import read_serve_settings

    wanted = given(locals(), without=("settings",)) | {"models": models or None}
    chosen = read_serve_settings(wanted, settings)
    with_extra("serve")
    from geoseg.web.servers.serving import serve as run

    run(chosen)
