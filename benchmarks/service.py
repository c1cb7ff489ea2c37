"""Load on the service: latency, throughput and memory, as ratios from one run.

    python benchmarks/service.py [--model FILE] [--seconds 30] [--clients 1 4 16 64] [--json FILE]
    python benchmarks/service.py --mixed 10 [--model FILE]

The first posts an image of 512 px from 1, 4, 16 and 64 clients to ``geoseg serve``, and compares with the bare network
(DeepLabV3-ResNet50, random weights, six classes, unless a model is given) on 512 px, and with a plain Flask handler that
runs the same network one request at a time, in the same precision and in float32. Each has the machine to itself.
Answers of 503, which tell a client to come again, are counted apart. The second keeps up a mixed load for so many
minutes: images of several sizes and kinds, every media type, faults, jobs; and prints what was answered and how memory grew.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
from engine import Plain, build_model
from PIL import Image

from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import pack_model, read_model

SIDE = 512
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ACCEPTS = ("image/png", "image/tiff", "application/json", "application/geo+json")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--mixed", type=float, help="minutes of mixed load instead")
    parser.add_argument("--plain", nargs=2, metavar=("PRECISION", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.plain:
        _serve_plainly(options.model, *options.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or _write_model(Path(folder) / "resnet50.geoseg")
        found = (
            _mixed(model, Path(folder), options.mixed)
            if options.mixed
            else _load(model, Path(folder), options)
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def _load(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    image = _png(SIDE, seed=0)
    found: dict[str, object] = {"bare_s": _bare_seconds(model), "seconds": options.seconds}
    print(f"{'the bare network, 512 px':44s} {found['bare_s']:8.3f} s")
    with _service(model, folder) as server:
        for clients in options.clients:
            found[f"service_{clients}"] = _row(
                f"service, {clients} clients", server, image, clients=clients, seconds=options.seconds
            )
    for precision in ("same", "float32"):
        with _plain(model, precision) as server:
            for clients in (1, 16):
                name = f"plain Flask, {precision} precision, {clients} clients"
                found[f"plain_{precision}_{clients}"] = _row(
                    name, server, image, clients=clients, seconds=options.seconds
                )
    _print_ratios(found)
    return found


def _row(name: str, server: Server, image: bytes, *, clients: int, seconds: float) -> dict[str, float]:
    before = server.memory_mib()
    load = Load()
    load.run(clients, seconds, lambda: server.post("/predict", image))
    if not load.seconds:
        raise SystemExit(f"{name}: not one image was mapped ({dict(load.statuses)})")
    times = np.array(load.seconds)
    row = {
        "p50_s": float(np.percentile(times, 50)),
        "p95_s": float(np.percentile(times, 95)),
        "p99_s": float(np.percentile(times, 99)),
        "a_second": len(load.seconds) / load.lasted_s,
        "errors": load.errors,
        "busy_503": load.statuses[503],
        "mib_before": before,
        "mib_after": server.memory_mib(),
    }
    print(
        f"{name:44s} p50 {row['p50_s']:7.2f}  p95 {row['p95_s']:7.2f}  p99 {row['p99_s']:7.2f} s  "
        f"{row['a_second']:6.2f} a second  {load.errors} errors  {load.statuses[503]} busy  "
        f"{before:,.0f} -> {row['mib_after']:,.0f} MiB"
    )
    return row


def _print_ratios(found: dict) -> None:
    def ratio(name: str, value: float) -> None:
        print(f"{name:60s} {value:6.2f}")

    if "service_1" in found:
        ratio("one client's p50 over the bare network", found["service_1"]["p50_s"] / found["bare_s"])
    if "service_16" in found:
        for precision in ("same", "float32"):
            plain = found[f"plain_{precision}_16"]["a_second"]
            ratio(
                f"16 clients' throughput over plain Flask, {precision} precision",
                found["service_16"]["a_second"] / plain,
            )


@dataclass
class Load:
    """Clients that ask one after the other, and what they were answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: int = 0
    lasted_s: float = 0.0

    def run(self, clients: int, seconds: float, ask: Callable[[], int]) -> None:
        """Let so many clients ask for so many seconds; what is under way then is finished."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._ask, args=(began + seconds, ask)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.lasted_s = time.monotonic() - began

    def _ask(self, end: float, ask: Callable[[], int]) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                status = ask()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                continue
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(time.monotonic() - began)
            elif status == 503:
                time.sleep(0.5)
            else:
                self.errors += 1


@dataclass
class Server:
    """A server process on this machine."""

    process: subprocess.Popen[bytes]
    port: int

    def post(self, path: str, image: bytes, accept: str = "*/*") -> int:
        """Post an image and return the status."""
        body, kind = _form(image)
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
def _service(model: Path, folder: Path, *options: str) -> Iterator[Server]:
    port = _free_port()
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
    with _running([*command, "--job-workers", "0", *options], port, "/health/ready") as server:
        yield server


@contextmanager
def _plain(model: Path, precision: str) -> Iterator[Server]:
    port = _free_port()
    command = [sys.executable, __file__, "--model", str(model), "--plain", precision, str(port)]
    with _running(command, port, "/") as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, path: str) -> Iterator[Server]:
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


def _serve_plainly(model_path: Path, precision: str, port: str) -> None:
    """Serve as examples do: one handler, one network, one request at a time."""
    from flask import Flask, Response, request

    model, device = read_model(model_path), choose_device("auto")
    predictor = (
        Plain(model, device)
        if precision == "float32"
        else _SamePrecision(model, device, choose_precision("auto", device))
    )
    app, lock, colors = Flask(__name__), threading.Lock(), model.record.legend.rgb

    @app.get("/")
    def alive() -> str:
        return "ok"

    @app.post("/predict")
    def predict() -> Response:
        image = np.asarray(Image.open(request.files["file"].stream).convert("RGB"), np.float32)
        pixels = np.ascontiguousarray(np.moveaxis(image, -1, 0))[None]
        with lock:
            found = predictor.probabilities(pixels, np.ones(pixels[:, 0].shape, bool))
        png = io.BytesIO()
        Image.fromarray(colors[found[0].argmax(axis=0)]).save(png, "PNG")
        return Response(png.getvalue(), mimetype="image/png")

    app.run(port=int(port), threaded=True)


class _SamePrecision(Plain):
    """The network as scripts call it, but in the service's precision and memory layout."""

    def __init__(self, model: object, device: str, precision: str) -> None:
        import torch

        super().__init__(model, device)
        self._network = self._network.to(memory_format=torch.channels_last)
        self._is_bf16 = precision == "bf16"

    def probabilities(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Predict."""
        import torch

        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_bf16):
            return super().probabilities(pixels, valid)


def _bare_seconds(path: Path, repeats: int = 5) -> float:
    """Return the seconds of the network alone on an image, the median of some runs."""
    device = choose_device("auto")
    predictor = TorchPredictor(read_model(path), device, choose_precision("auto", device))
    pixels = np.zeros((1, 3, SIDE, SIDE), np.float32)
    valid, times = np.ones((1, SIDE, SIDE), bool), []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        predictor.probabilities(pixels, valid)
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def _mixed(model: Path, folder: Path, minutes: float) -> dict[str, object]:
    """Keep up a mixed load, and say what was answered and how memory grew from a tenth of the time to the end."""
    images = [_png(side, seed=side) for side in (64, 200, 256, 512)] + [_jpeg(300), _tiff(256)]
    unexpected, answered, lock = Counter[str](), Counter[str](), threading.Lock()
    with _service(model, folder, "--job-workers", "1") as server:
        draw = random.Random(0)

        def ask() -> int:
            with lock:
                choice, image, accept = draw.random(), draw.choice(images), draw.choice(_ACCEPTS)
            status, fine = _one(server, choice, image, accept=accept)
            with lock:
                answered[str(status)] += 1
                if status not in (*fine, 503):
                    unexpected[f"{status} at {choice:.3f}"] += 1
            return 200 if status in fine else status

        warm = Load()
        warm.run(4, minutes * 6, ask)
        before, load = server.memory_mib(), Load()
        load.run(4, minutes * 54, ask)
        after = server.memory_mib()
    found = {
        "minutes": minutes,
        "answers": dict(answered),
        "unexpected": dict(unexpected),
        "broken_connections": load.errors - sum(unexpected.values()),
        "mib_before": before,
        "mib_after": after,
        "growth": after / before - 1,
    }
    for name, value in found.items():
        print(f"{name:20s} {value}")
    return found


def _one(server: Server, choice: float, image: bytes, *, accept: str) -> tuple[int, tuple[int, ...]]:
    """Make one request of the mix; return its status and those that are right."""
    if choice < 0.70:
        return server.post("/v1/predict", image, accept), (200, 406) if "geo" in accept else (200,)
    if choice < 0.80:
        return server.post("/predict", image), (200,)
    if choice < 0.85:
        return server.post("/v1/predict", image[: len(image) // 2]), (413, 415, 422)
    if choice < 0.90:
        return server.post("/v1/predict?tta=perhaps", image), (422,)
    if choice < 0.94:
        return _job(server, image), (204,)
    path = "/v1/models" if choice < 0.96 else "/metrics" if choice < 0.98 else "/openapi.json"
    return server.ask("GET", path)[0], (200,)


def _job(server: Server, image: bytes) -> int:
    """Make a job of an image, wait for it, take its map, and remove it; return the status of the last answer."""
    body, kind = _form(image)
    status, answer = server.ask("POST", "/v1/jobs", body, kind=kind)
    if status != 202:
        return status
    here = json.loads(answer)["links"]["self"]
    while (job := json.loads(server.ask("GET", here)[1]))["state"] not in ("done", "failed"):
        time.sleep(0.2)
    if job["state"] == "failed":
        return 500
    found = json.loads(server.ask("GET", job["links"]["results"])[1])["results"]
    status = server.ask("GET", found[0]["href"])[0]
    return server.ask("DELETE", here)[0] if status == 200 else status


def _write_model(path: Path) -> Path:
    model = build_model("resnet50")
    path.write_bytes(pack_model(model.network.state_dict(), model.record))
    return path


def _pixels(side: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(30, 220, (-(-side // 16), -(-side // 16), 3), np.uint8)
    return Image.fromarray(coarse.repeat(16, axis=0).repeat(16, axis=1)[:side, :side])


def _encoded(side: int, kind: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    _pixels(side, seed).save(buffer, kind)
    return buffer.getvalue()


def _png(side: int, seed: int) -> bytes:
    return _encoded(side, "PNG", seed)


def _jpeg(side: int) -> bytes:
    return _encoded(side, "JPEG")


def _tiff(side: int) -> bytes:
    return _encoded(side, "TIFF")


def _form(image: bytes) -> tuple[bytes, str]:
    boundary = uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    return (
        head.encode() + image + f"\r\n--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
