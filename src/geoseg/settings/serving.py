"""How models are served over HTTP."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import AfterValidator, Field

from geoseg.errors import SettingsError
from geoseg.settings.base import Count, Device, Precision, Settings

PREFIX = "GEOSEG_"
"""Of environment variables that are settings: GEOSEG_PORT for ``port``."""

_Positive = Annotated[float, Field(gt=0)]


def _known_queue(text: str) -> str:
    if text != "sqlite" and not re.fullmatch(r"rediss?://.+", text):
        raise ValueError("expected sqlite, or an address such as redis://host:6379/0")
    return text


class ServeSettings(Settings):
    """Serve models over HTTP, and map large rasters as jobs.

    Attributes:
        models: Model files, or folders of them; a model is called by its file's name without ``.geoseg``.
        data: Folder for keys, jobs and uploads; all processes that share it share the jobs.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        server: What answers: "gunicorn", "waitress", or "auto" for gunicorn where it runs.
        workers: Processes that answer, with gunicorn; each holds every model.
        threads: Requests that a process handles at the same time.
        keys: Whether requests need an API key; "auto": unless ``host`` is loopback and no proxy is in front.
        pending: Predictions that a process lets wait or compute; more are answered 503.
        batch: Windows that share a pass of the network at most.
        batch_wait_ms: How long a window waits for others to share its pass.
        timeout_s: Seconds a prediction may take.
        upload_timeout_s: Seconds that a request may take to come.
        job_upload_timeout_s: Seconds that a request with the raster of a job may take to come.
        grace_s: Seconds that requests under way have to finish when the service is stopped.
        max_upload_mib: Largest body of a request.
        max_job_upload_mib: Largest body of a request that makes a job.
        max_pixels: Largest image that is answered at once, in pixels.
        max_job_pixels: Largest raster of a job, in pixels.
        max_bands: Most bands of an image.
        job_workers: Processes of this service that work on jobs; 0 leaves them to ``geoseg worker``.
        queue: Where jobs wait: "sqlite" in the data folder, or an address such as redis://host:6379/0.
        job_tries: How often a job is begun whose worker dies.
        allow_urls: Beginnings of the addresses that jobs may read rasters from.
        allow_folders: Folders that jobs may read rasters from.
        keep_hours: How long finished jobs are kept.
        keep_gib: How much finished jobs may take; the oldest go first.
        min_free_gib: New jobs are refused while the data folder's disk has less left.
        cors_origins: Origins of web pages that may call the service; "*" for any.
        proxies: Reverse proxies in front whose X-Forwarded headers are believed.
        device: Where to compute.
        precision: In what to compute.
        backend: What computes: "torch", "onnx", "openvino", or "auto" for the fastest installed.
    """

    arguments = frozenset({"models"})

    models: Annotated[tuple[Path, ...], Field(min_length=1)]
    data: Path = Path("geoseg-data")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5000
    server: Literal["auto", "gunicorn", "waitress"] = "auto"
    workers: Count = 1
    threads: Count = 32
    keys: Literal["auto", "on", "off"] = "auto"
    pending: Count = 16
    batch: Count = 4
    batch_wait_ms: Annotated[float, Field(ge=0)] = 2.0
    timeout_s: _Positive = 120.0
    upload_timeout_s: _Positive = 60.0
    job_upload_timeout_s: _Positive = 3600.0
    grace_s: _Positive = 30.0
    max_upload_mib: _Positive = 64.0
    max_job_upload_mib: _Positive = 4096.0
    max_pixels: Count = 4096 * 4096
    max_job_pixels: Count = 4_000_000_000
    max_bands: Count = 16
    job_workers: Annotated[int, Field(ge=0)] = 1
    queue: Annotated[str, AfterValidator(_known_queue)] = "sqlite"
    job_tries: Count = 3
    allow_urls: tuple[str, ...] = ()
    allow_folders: tuple[Path, ...] = ()
    keep_hours: _Positive = 72.0
    keep_gib: _Positive = 20.0
    min_free_gib: Annotated[float, Field(ge=0)] = 1.0
    cors_origins: tuple[str, ...] = ()
    proxies: Annotated[int, Field(ge=0)] = 0
    device: Device = "auto"
    precision: Precision = "auto"
    backend: Literal["auto", "torch", "onnx", "openvino"] = "torch"

    @property
    def needs_keys(self) -> bool:
        """Whether a request without an API key is refused."""
        is_private = is_loopback(self.host) and not self.proxies
        return self.keys == "on" or (self.keys == "auto" and not is_private)


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_serve_settings(
    given: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> ServeSettings:
    """Put the service's settings together: what is given, else the environment, else a TOML (or JSON) file, else the defaults.

    Args:
        given: By name; None counts as not given.
        file: TOML file of settings by name.
        environment: Variables; those of lists are separated by commas.

    Raises:
        SettingsError: The file cannot be read, or a value is not right.
    """
    known = ServeSettings.model_fields
    lists = {name for name, field in known.items() if get_origin(field.annotation) is tuple}
    named = {key: value for key, value in environment.items() if key.startswith(PREFIX)}
    values = dict(_read_file(file)) if file is not None else {}
    for key, text in named.items():
        name = key.removeprefix(PREFIX).lower()
        if name in known:
            values[name] = (
                [part.strip() for part in text.split(",") if part.strip()] if name in lists else text
            )
    values |= {name: value for name, value in given.items() if value is not None}
    if not values.get("models"):
        raise SettingsError(
            "no model is named",
            expected="model files, or folders of them",
            hint="Run 'geoseg serve model.geoseg', or name them in GEOSEG_MODELS or as models in the settings file.",
        )
    try:
        return ServeSettings(**values)
    except SettingsError as error:
        name = str(error.where)
        option, variable = f"--{name.replace('_', '-')}", PREFIX + name.upper()
        elsewhere = variable if variable in environment else f"{file}: {name}"
        where = option if given.get(name) is not None else elsewhere
        raise SettingsError(error.what, where=where, expected=error.expected, got=error.got) from error


def _read_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        return dict(json.loads(text)) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "this settings file cannot be read",
            where=file,
            expected="a TOML file",
            got="no such file" if isinstance(error, FileNotFoundError) else None,
        ) from error
