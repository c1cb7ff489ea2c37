"""A real server: killed in mid-work, shared by two writers, and read by GDAL meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pyogrio
import pytest
from tests.web.label.conftest import change, mask

from geoseg.settings import TrainSettings
from geoseg.workflows.training.train import train

pytestmark = pytest.mark.slow


@dataclass
class Server:
    """A running ``geoseg label``, and the address that it printed."""

    process: subprocess.Popen[str]
    address: str

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request with the token; return status and JSON."""
        parts = urlsplit(self.address)
        token = parse_qs(parts.query)["token"][0]
        request = urllib.request.Request(
            f"{parts.scheme}://{parts.netloc}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def kill(self) -> None:
        """Kill the process without a warning."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(scene: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the server of one project, by ``geoseg label`` or another command; every call starts another process."""
    started: list[Server] = []

    def run(*command: object) -> Server:
        words = map(str, command or ("label", scene, "--project", tmp_path / "project"))
        process = subprocess.Popen(
            [sys.executable, "-m", "geoseg", *words, "--port", "0", "--no-browser"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().strip())
        started.append(server)
        return server

    yield run
    for server in started:
        if server.process.poll() is None:
            server.kill()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_a_killed_server_has_lost_nothing_and_undo_goes_on(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    first = start()
    ids = [first.call("POST", "/v1/project/classes", {"name": name})[1]["id"] for name in ("field", "wood")]
    sent = []
    for k in range(8):
        answer = first.call(
            "POST", "/v1/project/changes", {"annotator": "ann", "changes": [change(50 + k, 60, ids[k % 2])]}
        )
        sent.append(answer[1]["points"][0]["id"])
    first.kill()
    second = start("project", "open", tmp_path / "project")
    assert second.address.split("token=")[1] == first.address.split("token=")[1]
    _, found = second.call("GET", "/v1/project/points")
    assert [one["id"] for one in found["points"]] == sent
    status, undone = second.call("POST", "/v1/project/undo", {"annotator": "ann"})
    assert (status, undone["deleted"]) == (200, [sent[-1]])


def test_two_servers_and_gdal_share_a_project(start: Callable[..., Server], tmp_path: Path) -> None:
    servers = [start()]
    ids = [
        servers[0].call("POST", "/v1/project/classes", {"name": name})[1]["id"] for name in ("field", "wood")
    ]
    servers.append(start())
    _, one = servers[0].call(
        "POST", "/v1/project/changes", {"annotator": "x", "changes": [change(50, 50, ids[0])]}
    )
    point = one["points"][0]
    statuses: list[int] = []

    def write(server: Server, name: str) -> None:
        for k in range(15):
            changes = [change(30 + k, 100, ids[k % 2])]
            statuses.append(
                server.call("POST", "/v1/project/changes", {"annotator": name, "changes": changes})[0]
            )

    threads = [
        threading.Thread(target=write, args=(server, name))
        for server, name in zip(servers, "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    counts = [
        len(pyogrio.read_dataframe(tmp_path / "project" / "points.gpkg", layer="points")) for _ in range(5)
    ]
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30
    assert counts == sorted(counts)
    update = {"op": "update", "id": point["id"], "revision": point["revision"], "class_id": ids[1]}
    assert servers[0].call("POST", "/v1/project/changes", {"annotator": "a", "changes": [update]})[0] == 200
    status, problem = servers[1].call("POST", "/v1/project/changes", {"annotator": "b", "changes": [update]})
    assert (status, problem["conflicts"][0]["current"]["class_id"]) == (409, ids[1])
    assert len(servers[1].call("GET", "/v1/project/points")[1]["points"]) == 31


def test_geoseg_train_takes_the_points_as_they_are(
    start: Callable[..., Server], scene: Path, tmp_path: Path, light: dict[str, Any]
) -> None:
    server = start()
    ids = [
        server.call("POST", "/v1/project/classes", {"name": name})[1]["id"]
        for name in ("field", "wood", "water")
    ]
    truth = mask()
    places = [(r, c) for r in range(30, 300, 45) for c in range(30, 300, 45)]
    changes = [change(r, c, ids[truth[r, c]]) for r, c in places]
    changes += [
        change(100, 101, ids[0], unsure=True),
        change(110, 280, ids[0], role="check", source="random"),
    ]
    assert server.call("POST", "/v1/project/changes", {"annotator": "ann", "changes": changes})[0] == 200
    points = tmp_path / "project" / "points.gpkg"
    result = train(
        TrainSettings(data=scene, points=points, output=tmp_path / "model.geoseg", recipe="quick", **light)
    )
    assert result.record.training["points_used"] == len(places)
    assert result.record.legend.names == ("field", "wood", "water")
