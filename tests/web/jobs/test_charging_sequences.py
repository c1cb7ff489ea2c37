"""Whatever happens to predictions and jobs, a key is charged the pixels of the maps delivered or under way.

Requests, the store of jobs, the key store, the fetching of rasters and the mapping are real. A kill ends a worker at
one of the moments at which it would notice that it is to stop.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.web.conftest import Inside
from tests.web.jobs.killing import After, Killed

from geoseg.web.app import service_of_app
from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.jobs.running import WorkerContext, run_job

PIXELS = 96 * 96
MAPS_A_DAY = 4
LIMIT_MIB = 0.05


class Charging(RuleBasedStateMachine):
    """Calls of one key, and what workers do meanwhile."""

    app: Inside
    raster: Path
    address: str

    def __init__(self):
        super().__init__()
        keys = KeyStore(self.app.data / FILE_NAME)
        text = keys.add(f"key {len(keys.list())}", per_minute=0, pixels_per_day=MAPS_A_DAY * PIXELS + 5)
        self.key, self.header = text.split("_")[1], {"X_API_Key": text}
        self.jobs, self.delivered, self.place = [], 0, service_of_app(self.app.app)

    def store(self):
        return self.place.jobs

    def is_open(self):
        return any(not self.store().get(job).is_over for job in self.jobs)

    def used(self):
        with closing(sqlite3.connect(self.app.data / FILE_NAME)) as connection:
            asked = "SELECT coalesce(sum(used), 0) FROM pixels WHERE key = ?"
            return connection.execute(asked, (self.key,)).fetchone()[0]

    def charged(self):
        with closing(sqlite3.connect(self.app.data / FILE_NAME)) as connection:
            has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'charges'").fetchone()
            rows = (
                connection.execute("SELECT reference FROM charges WHERE key = ?", (self.key,))
                if has_table
                else ()
            )
            return {row[0] for row in rows}

    def has_room(self):
        return self.used() + PIXELS <= MAPS_A_DAY * PIXELS + 5

    @rule(path=st.sampled_from(["/predict", "/v1/predict"]), is_async=st.booleans())
    def send(self, path, is_async):
        headers = {**self.header, **({"Prefer": "respond-async"} if is_async else {})}
        is_free = self.has_room()
        answer = self.app.post(path, self.raster, **headers)
        creates_job = is_async and path == "/v1/predict"
        assert answer.status == ((202 if creates_job else 200) if is_free else 429)
        if is_free and creates_job:
            self.jobs.append(answer.json["id"])
        elif is_free:
            self.delivered += 1

    @rule(is_by_path=st.booleans())
    def refer(self, is_by_path):
        source = {"path": str(self.raster)} if is_by_path else {"url": f"{self.address}a.tif"}
        is_free = self.has_room()
        answer = self.app.request(
            "POST",
            "/v1/jobs",
            json.dumps(source).encode(),
            Content_Type="application/json",
            **self.header,
        )
        # Of an address the pixels are known when a worker has fetched it.
        assert answer.status == (202 if is_free or not is_by_path else 429)
        if answer.status == 202:
            self.jobs.append(answer.json["id"])

    @rule(path=st.sampled_from(["/predict", "/v1/predict"]), is_async=st.booleans(), is_broken=st.booleans())
    def send_what_is_refused(self, path, is_async, is_broken):
        content = self.raster.read_bytes()[:9000] if is_broken else bytes(int(LIMIT_MIB * 2**20))
        headers = {**self.header, **({"Prefer": "respond-async"} if is_async and not is_broken else {})}
        status = 422 if is_broken else 415 if is_async and path == "/v1/predict" else 413
        assert self.app.post(path, content, **headers).status in {status, 429 if is_broken else status}

    @precondition(lambda self: self.is_open())
    @rule(data=st.data(), moment=st.integers(0, 6), end=st.sampled_from(["stop", "kill", "finish"]))
    def work(self, data, moment, end):
        waiting = [job for job in self.jobs if not self.store().get(job).is_over]
        moments = iter(range(moment))
        now = After(lambda: end != "finish" and next(moments, None) is None, kill=end == "kill")
        with suppress(Killed):
            run_job(
                WorkerContext(self.place.settings, self.store(), now), data.draw(st.sampled_from(waiting))
            )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data):
        job_id = data.draw(st.sampled_from(self.jobs))
        job = self.store().get(job_id)
        answer = self.app.request("DELETE", f"/v1/jobs/{job_id}", **self.header)
        assert answer.status == (204 if job.is_over else 202)
        if job.is_over:
            self.jobs.remove(job_id)
            self.delivered += job.state == "done"

    @invariant()
    def the_charge_is_that_of_the_maps(self):
        maps, records = self.delivered, self.charged()
        for job_id in self.jobs:
            job = self.store().get(job_id)
            is_unknown = job.request.source.startswith("http") and job.state in ("queued", "running")
            maps += job_id in records if is_unknown else job.state in ("queued", "running", "done")
        assert self.used() == maps * PIXELS
        assert self.used() <= MAPS_A_DAY * PIXELS


@pytest.mark.slow
def test_a_key_is_charged_the_pixels_of_the_maps_delivered_or_under_way(inside, model, raster, address):
    app = inside(
        model,
        keys="on",
        allow_urls=(address,),
        allow_folders=(raster.parent,),
        max_upload_mib=LIMIT_MIB,
        job_tries=2,
    )
    run_state_machine_as_test(
        type("Bound", (Charging,), {"app": app, "raster": raster, "address": address}),
        settings=settings(
            max_examples=6,
            stateful_step_count=10,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
