"""A real service in a process of its own, and a client that talks HTTP to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

PATIENCE_S = 90.0
# Else what it found would not be told.
pytest.register_assert_rewrite("tests.web.watching")


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers by lower-case name, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last part of the problem's type, after making sure that it is one."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:300]
        found = self.json
        assert found["status"] == self.status
        assert set(found) - {"errors"} == {"type", "title", "status", "detail", "instance"}
        return found["type"].removeprefix("urn:geoseg:problem:")


def multipart(*parts: tuple[str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a form of files: field, file name, content."""
    boundary = uuid4().hex
    body = b""
    for name, file_name, content in parts:
        body += (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            + content
            + b"\r\n"
        )
    body += f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


class Client(Protocol):
    """Somebody who asks a service, in whichever process it runs."""

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer: ...


class Asking:
    """What one can ask of a service."""

    def get(self: Client, path: str, **headers: str) -> Answer:
        return self.request("GET", path, **headers)

    def post(self: Client, path: str, image: Path | bytes, name: str = "image.tif", **headers: str) -> Answer:
        content = image if isinstance(image, bytes) else image.read_bytes()
        body, form = multipart(("file", name, content))
        return self.request("POST", path, body, **form, **headers)

    def is_ready(self) -> bool:
        return self.get("/health/ready").status == 200


@dataclass
class Inside(Asking):
    """The service's app in this process."""

    app: Any
    data: Path

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        with self.app.test_client().open(path, method=method, data=body, headers=named) as response:
            found = {k.lower(): v for k, v in response.headers.items()}
            return Answer(response.status_code, found, response.get_data())

    def wait_until(self, is_so: Callable[[], Any], what: str = "it") -> Any:
        return _wait_until(is_so, what)


@dataclass
class Server(Asking):
    """A running ``geoseg serve``; ``lines`` are what it has logged."""

    process: subprocess.Popen[str]
    data: Path
    reader: threading.Thread | None = None
    port: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            named = {k.lower(): v for k, v in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == event]

    def wait_until(self, is_so: Callable[[], Any], what: str = "it") -> Any:
        def alive() -> Any:
            assert self.process.poll() is None or is_so(), f"the service ended: {self.lines[-5:]}"
            return is_so()

        return _wait_until(alive, what)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def _wait_until(is_so: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = is_so()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited for {what} in vain")


Serve = Callable[..., Server]
Inhouse = Callable[..., Inside]


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inhouse]:
    """Make the service's app in this process, with models and settings, and wait until it is ready."""
    yield from _inside(tmp_path)


@pytest.fixture(scope="module")
def inside_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inhouse]:
    yield from _inside(tmp_path_factory.mktemp("inside"))


def _inside(folder: Path) -> Iterator[Inhouse]:
    from geoseg.settings.serving import ServeSettings
    from geoseg.web.app import create_app, service_of_app

    made = list[Inside]()

    def make(*models: Path, ready: bool = True, **settings: Any) -> Inside:
        data = folder / f"app{len(made)}"
        cheap = {"device": "cpu", "precision": "float32", "data": data, **settings}
        made.append(Inside(create_app(ServeSettings(models=models, **cheap)), data))
        if ready:
            _wait_until(made[-1].is_ready, "a model")
        return made[-1]

    yield make
    for app in made:
        service_of_app(app.app).close()


@pytest.fixture(scope="session")
def serve_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    yield from _serving(tmp_path_factory.mktemp("served"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a service with models and options, wait until it is ready, and stop it in the end."""
    yield from _serving(tmp_path)


def _serving(folder: Path) -> Iterator[Serve]:
    started = list[Server]()

    def serve(
        *arguments: object, data: Path | None = None, ready: bool = True, **environment: object
    ) -> Server:
        data = data or folder / f"data{len(started)}"
        command = [sys.executable, "-m", "geoseg", "serve", "--port", "0", "--data", str(data)]
        names = {name: name.removeprefix("environment_").upper() for name in environment}
        settings = {f"GEOSEG_{names[name]}": str(value) for name, value in environment.items()}
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GEOSEG_PRECISION": "float32", **settings},
        )
        server = Server(process, data)
        server.reader = threading.Thread(target=_read_log, args=(server,), daemon=True)
        server.reader.start()
        started.append(server)
        server.wait_until(lambda: server.port, "its port")
        if ready:
            server.wait_until(server.is_ready, "a model")
        return server

    yield serve
    for server in started:
        if server.process.poll() is None:
            server.process.terminate()
    for server in started:
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
        server.reader.join()


def _read_log(server: Server) -> None:
    assert server.process.stderr is not None
    with server.process.stderr as lines:
        for text in lines:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": text.rstrip()}
            server.lines.append(line)
            if found := re.search(r"(?:Listening at:|Serving on) http://[^ ]*:(\d+)", str(line.get("event"))):
                server.port = int(found[1])


@pytest.fixture(scope="session")
def server(serve_session: Serve, model: Path) -> Server:
    """A service that tests share and leave as it is."""
    return serve_session(model, job_workers=0)


@pytest.fixture(scope="session")
def raster(dataset: Path) -> Path:
    """A raster whose map shows all classes, which that of the one held out does not."""
    return dataset / "images" / "east.tif"


@pytest.fixture(scope="session")
def mapped(model: Path, raster: Path, shared: Path) -> Path:
    """The map of the raster by the command line's workflow."""
    from geoseg.settings import PredictSettings
    from geoseg.workflows.mapping.predict import predict

    path = shared / "by-command.tif"
    predict(PredictSettings(model=model, rasters=(raster,), output=path, device="cpu", precision="float32"))
    return path
