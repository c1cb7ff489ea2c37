"""Load on the service: latency, throughput and memory, as ratios from one run.

    python benchmarks/service.py [--model FILE] [--seconds 30] [--clients 1 4 16 64] [--json FILE]
    python benchmarks/service.py --mixed 10 [--model FILE]

The first posts an image of 512 px from 1, 4, 16 and 64 clients to ``geoseg serve``, and compares with the bare network
(DeepLabV3-ResNet50, random weights, six classes, unless a model is given) on 512 px, and with a plain Flask handler that
runs the same network one request at a time, in the same runtime and as an unchanged torch network. Each has the machine to itself.
Answers of 503, which tell a client to come again, are counted apart. The second keeps up a mixed load for so many
minutes: images of several sizes and kinds, every media type, faults, jobs; and prints what was answered and how memory grew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from invented.models import resnet50
from plain.network import PlainNetwork
from serving.clients import Load
from serving.images import png
from serving.mixture import mix
from serving.plain import serve_plainly
from serving.servers import Server, free_port, running, service

from geoseg.domain.ports import Predictor
from geoseg.learning.model_file import Model, pack_model, read_model
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.mapping.backends import build_default_predictor

SIDE = 512
RUNTIMES = ("same runtime", "torch float32")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--mixed", type=float, help="minutes of mixed load instead")
    parser.add_argument("--plain", nargs=2, metavar=("RUNTIME", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.plain:
        _serve_plainly(options.model, *options.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or _write_model(Path(folder) / "resnet50.geoseg")
        found = (
            mix(model, Path(folder), options.mixed) if options.mixed else _load(model, Path(folder), options)
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def _load(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    image = png(SIDE, seed=0)
    found: dict[str, object] = {"bare_s": _bare_seconds(model), "seconds": options.seconds}
    print(f"{'the bare network, 512 px':44s} {found['bare_s']:8.3f} s")
    with service(model, folder) as server:
        for clients in options.clients:
            found[f"service_{clients}"] = _row(
                f"service, {clients} clients", server, image, clients=clients, seconds=options.seconds
            )
    for runtime in RUNTIMES:
        with _plain(model, runtime) as server:
            for clients in (1, 16):
                name = f"plain Flask, {runtime}, {clients} clients"
                found[f"plain_{runtime}_{clients}"] = _row(
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
        for runtime in RUNTIMES:
            plain = found[f"plain_{runtime}_16"]["a_second"]
            ratio(
                f"16 clients' throughput over plain Flask, {runtime}",
                found["service_16"]["a_second"] / plain,
            )


@contextmanager
def _plain(model: Path, runtime: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, __file__, "--model", str(model), "--plain", runtime, str(port)]
    with running(command, port, "/") as server:
        yield server


def _serve_plainly(path: Path, runtime: str, port: str) -> None:
    model = read_model(path)
    predictor = _same_runtime(model) if runtime == RUNTIMES[0] else PlainNetwork(model, choose_device("auto"))
    serve_plainly(predictor, model.record.legend.rgb, int(port))


def _same_runtime(model: Model) -> Predictor:
    device = choose_device("auto")
    return build_default_predictor(model, device, choose_precision("auto", device))


def _bare_seconds(path: Path, repeats: int = 5) -> float:
    """Return the seconds of the network alone on an image, the median of some runs."""
    predictor = _same_runtime(read_model(path))
    pixels = np.zeros((1, 3, SIDE, SIDE), np.float32)
    valid, times = np.ones((1, SIDE, SIDE), bool), []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        predictor.probabilities(pixels, valid)
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def _write_model(path: Path) -> Path:
    model = resnet50()
    path.write_bytes(pack_model(model.network, model.record))
    return path


if __name__ == "__main__":
    main()
