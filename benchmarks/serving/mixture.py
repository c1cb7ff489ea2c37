"""A mixed load of images, media types, faults and jobs, kept up for some minutes."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from pathlib import Path

from serving.clients import Load
from serving.images import form, jpeg, png, tiff
from serving.servers import Server, service

_ACCEPTS = ("image/png", "image/tiff", "application/json", "application/geo+json")


def mix(model: Path, folder: Path, minutes: float) -> dict[str, object]:
    """Keep up a mixed load, and say what was answered and how memory grew from a tenth of the time to the end."""
    images = [png(side, seed=side) for side in (64, 200, 256, 512)] + [jpeg(300), tiff(256)]
    unexpected, answered, lock = Counter[str](), Counter[str](), threading.Lock()
    with service(model, folder, "--job-workers", "1") as server:
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
    body, kind = form(image)
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
