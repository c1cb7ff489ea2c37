"""Server processes on this machine, from their start to their end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.images import form

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Server:
    """A server process on this machine."""

    process: subprocess.Popen[bytes]
    port: int

    def post(self, path: str, image: bytes, accept: str = "*/*") -> int:
        """Post an image and return the status."""
        body, kind = form(image)
        return self.ask("POST", path, body, kind=kind, accept=accept)[0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, kind: str = "", accept: str = "*/*"
    ) -> tuple[int, bytes]:
        """Ask anything and return status and body."""
        headers = {"Accept": accept, **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def memory_mib(self) -> float:
        """Return the resident memory of the process and all below it."""
        return sum(_resident(pid) for pid in _family(self.process.pid)) / 2**20


def _family(pid: int) -> Iterator[int]:
    yield pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


@contextmanager
def service(model: Path, folder: Path, *options: str) -> Iterator[Server]:
    """Run ``geoseg serve`` with a model, without workers unless options say so; it keeps its data in a folder."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "geoseg",
        "serve",
        str(model),
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
    ]
    with running([*command, "--job-workers", "0", *options], port, "/health/ready") as server:
        yield server


@contextmanager
def running(command: list[str], port: int, path: str) -> Iterator[Server]:
    """Run a server from when it answers 200 at a path."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        server = Server(process, port)
        try:
            while not _answers(server, path):
                if process.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} ended")
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()


def _answers(server: Server, path: str) -> bool:
    try:
        return server.ask("GET", path)[0] == 200
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
