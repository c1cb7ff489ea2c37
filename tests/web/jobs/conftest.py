"""A data folder with its store and queue, and real workers."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from geoseg.settings.serving import ServeSettings
from geoseg.web.jobs.delivery import new_job
from geoseg.web.jobs.queue import JobQueue, open_queue
from geoseg.web.jobs.records import Job, JobOptions, JobRequest
from geoseg.web.jobs.running import WorkerContext
from geoseg.web.jobs.store import JobStore

PATIENCE_S = 300.0


@dataclass(frozen=True)
class Worker:
    """A worker's process, and the file of its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def has_logged(self, event: str) -> bool:
        return any(line["event"] == event for line in self.events())


@pytest.fixture
def settings(model: Path, tmp_path: Path) -> ServeSettings:
    return ServeSettings(models=(model,), data=tmp_path / "data", device="cpu", precision="float32")


@pytest.fixture
def store(settings: ServeSettings) -> JobStore:
    return JobStore(settings.data)


@pytest.fixture
def queue(settings: ServeSettings, store: JobStore) -> Iterator[JobQueue]:
    queue = open_queue(settings)
    yield queue
    queue.close()


@pytest.fixture
def place(settings: ServeSettings, store: JobStore) -> WorkerContext:
    """A worker's view of the data folder; nobody stops it."""
    return WorkerContext(settings, store, lambda: False)


@pytest.fixture
def post(store: JobStore, queue: JobQueue) -> Callable[..., Job]:
    """Make a job of a raster's bytes, as an upload does."""

    def make(raster: Path, **options: Any) -> Job:
        with new_job(store, queue) as draft:
            draft.create_input(raster.suffix).write_bytes(raster.read_bytes())
            return draft.submit(JobRequest(model="model", options=JobOptions(**options)))

    return make


@pytest.fixture
def refer(store: JobStore, queue: JobQueue) -> Callable[..., Job]:
    """Make a job of a raster that lies elsewhere."""

    def make(source: object, **order: Any) -> Job:
        with new_job(store, queue) as draft:
            return draft.submit(JobRequest(**{"model": "model", "source": str(source), **order}))

    return make


@pytest.fixture(scope="module")
def address(raster: Path) -> Iterator[str]:
    """The address of a server that has the raster."""
    content = raster.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tall(tmp_path: Path, write_tiff: Callable[..., Path]) -> Path:
    """A raster of five strips."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 4000, 32), np.uint8)
    return write_tiff(tmp_path / "tall.tif", pixels, nodata=0)


@pytest.fixture
def start_worker(settings: ServeSettings, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker's process; all of them are gone after the test."""
    started = list[Worker]()

    def start(*options: str) -> Worker:
        log = tmp_path / f"worker-{len(started)}.log"
        named = [*map(str, settings.models), "--data", str(settings.data), "--device", "cpu"]
        command = [sys.executable, "-m", "geoseg", "worker", *named, "--precision", "float32", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file, env=environment)
        started.append(Worker(process, log))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.wait()


class RedisServer:
    """A Redis of its own, on a free port, that keeps what it has over a stop.

    Args:
        program: The server.
        folder: Where it keeps its data.
    """

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
        self._command = [program, *own, "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        with redis.Redis(port=self.port) as client:
            while not _answers(client):
                assert time.monotonic() < until, "Redis does not start"
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis that runs; skipped where none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(program, folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is so; a machine may be slow, so that the limit says nothing of speed."""

    def wait(is_so: Callable[[], object]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.01)

    return wait
