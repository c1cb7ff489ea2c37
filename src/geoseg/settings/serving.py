"""Settings of the HTTP service."""

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
from geoseg.settings.base import ComputeSettings, Count, option

PREFIX = "GEOSEG_"
"""Prefix of environment variables: GEOSEG_PORT sets ``port``."""

_Positive = Annotated[float, Field(gt=0)]


def _known_queue(text: str) -> str:
    if text != "sqlite" and not re.fullmatch(r"rediss?://.+", text):
        raise ValueError("expected sqlite, or an address such as redis://host:6379/0")
    return text


class ServeSettings(ComputeSettings):
    """Serve models over HTTP, and map large rasters as jobs."""

    arguments = frozenset({"models"})

    models: Annotated[tuple[Path, ...], Field(min_length=1)] = option(
        help="Model files, or folders of them; the first is the default. A model's name is its file name without .geoseg."
    )
    data: Path = option(
        Path("geoseg-data"), help="Folder for keys, jobs and uploads; processes that share it share the jobs."
    )
    host: str = option("127.0.0.1", help="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = option(5000, help="Port to listen on; 0 takes a free one.")
    workers: Count = option(1, help="Processes that answer requests; each loads all models.")
    threads: Count = option(32, help="Requests that a process handles at the same time.")
    job_workers: Annotated[int, Field(ge=0)] = option(
        1, help="Processes of this service that run jobs; with 0, run geoseg worker for them."
    )
    keys: Literal["auto", "on", "off"] = option(
        "auto", help="Require API keys; auto requires them unless the host is loopback and there is no proxy."
    )
    server: Literal["auto", "gunicorn", "waitress"] = option(
        "auto", help="HTTP server; auto uses gunicorn, or waitress on Windows.", panel="Server"
    )
    proxies: Annotated[int, Field(ge=0)] = option(
        0, help="Number of reverse proxies in front, whose X-Forwarded headers are trusted.", panel="Server"
    )
    cors_origins: tuple[str, ...] = option(
        (), help="Origins of web pages that may call the service; * for any.", panel="Server", shown="none"
    )
    pending: Count = option(
        16,
        help="Maximum number of waiting and running predictions per process; further ones get 503.",
        panel="Server",
    )
    timeout_s: _Positive = option(120.0, help="Seconds that a prediction may take.", panel="Server")
    grace_s: _Positive = option(
        30.0, help="Seconds that running requests may take to finish at shutdown.", panel="Server"
    )
    max_upload_mib: _Positive = option(64.0, help="Largest request body in MiB.", panel="Limits")
    max_job_upload_mib: _Positive = option(
        4096.0, help="Largest request body that creates a job, in MiB.", panel="Limits"
    )
    max_pixels: Count = option(4096 * 4096, help="Largest image of a prediction in pixels.", panel="Limits")
    max_job_pixels: Count = option(4_000_000_000, help="Largest raster of a job in pixels.", panel="Limits")
    max_bands: Count = option(
        16,
        help="Maximum number of bands of an image; rasters of features may have as many as in training.",
        panel="Limits",
    )
    queue: Annotated[str, AfterValidator(_known_queue)] = option(
        "sqlite",
        help="Job queue: sqlite (in the data folder), or an address such as redis://host:6379/0.",
        panel="Jobs",
    )
    job_tries: Count = option(3, help="Maximum number of attempts at a job whose worker dies.", panel="Jobs")
    allow_urls: tuple[str, ...] = option(
        (), help="URL prefixes that jobs may read rasters from.", panel="Jobs", shown="none"
    )
    allow_folders: tuple[Path, ...] = option(
        (), help="Folders that jobs may read rasters from.", panel="Jobs", shown="none"
    )
    keep_hours: _Positive = option(72.0, help="Hours to keep finished jobs.", panel="Jobs")
    keep_gib: _Positive = option(
        20.0, help="Largest size of finished jobs in GiB; the oldest are removed first.", panel="Jobs"
    )
    min_free_gib: Annotated[float, Field(ge=0)] = option(
        1.0,
        help="Refuse new jobs if the disk of the data folder has less than this free, in GiB.",
        panel="Jobs",
    )
    batch: Count | None = option(
        None,
        help="Maximum number of windows in a pass of the network; each needs memory of its own.",
        panel="Computing",
        shown="1 on a CPU, 4 on a GPU",
    )
    batch_wait_ms: Annotated[float, Field(ge=0)] = option(
        2.0, help="Milliseconds to wait for more windows before a pass.", panel="Computing"
    )
    backend: Literal["auto", "onnx", "openvino", "torch"] | None = option(
        None,
        help="Runtime; auto measures those that are installed, and uses the fastest.",
        panel="Computing",
        shown="onnx; torch on a GPU, where it is installed",
    )

    @property
    def needs_keys(self) -> bool:
        """Whether a request without an API key is refused."""
        is_private = is_loopback(self.host) and not self.proxies
        return self.keys == "on" or (self.keys == "auto" and not is_private)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_serve_settings(
    given: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> ServeSettings:
    """Merge the settings of the service: given values override the environment, which overrides a TOML or JSON file.

    Args:
        given: Values by name; None means not given.
        file: TOML file of settings by name.
        environment: Environment variables; lists are separated by commas.

    Raises:
        SettingsError: The file cannot be read, or a value is invalid.
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
            "no model is given",
            expected="model files, or folders of them",
            hint="Run 'geoseg serve model.geoseg', or list them in GEOSEG_MODELS or as models in the settings file.",
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
            "the settings file cannot be read",
            where=file,
            expected="a TOML file",
            got="no such file" if isinstance(error, FileNotFoundError) else None,
        ) from error
