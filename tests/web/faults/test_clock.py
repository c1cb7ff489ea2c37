"""Jobs and rates go on when the wall clock is set."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from tests.web.faults.posted_jobs import end_of, job_of
from tests.web.watching import assert_no_surprise

pytestmark = pytest.mark.slow

DAY_S = 86_400
CLOCK = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
    char text[32] = {0};
    int file = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, 31) < 0) abort();
    close(file);
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && result == 0) now->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec, now->tv_usec = t.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (now) *now = t.tv_sec;
    return t.tv_sec;
}
"""


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the wall clock, and it alone, of the services that are started: so many days from the right time.

    libfaketime 0.9.10 does not serve: it breaks time.sleep while it leaves the steady clock alone.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library, said = tmp_path / "clock.so", tmp_path / "clock"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=CLOCK, text=True, check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("TEST_CLOCK", str(said))

    def to(days: int) -> None:
        part = said.with_suffix(".part")
        part.write_text(str(days * DAY_S))
        part.replace(said)

    to(0)
    return to


def shift_of(server: Any) -> float:
    """Return how far a service's clock is from this one, in days."""
    told = parsedate_to_datetime(server.get("/health/live").headers["date"])
    return round((told - datetime.now(UTC)).total_seconds() / DAY_S, 2)


def test_jobs_and_rates_go_on_when_the_clock_is_set(serve, model, raster, middling, shift, tmp_path):
    from geoseg.web.auth.keys import FILE_NAME, KeyStore

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    store = KeyStore(data / FILE_NAME)
    free = {"X_API_Key": store.add("free", per_minute=0, pixels_per_day=0)}
    bound = {"X_API_Key": store.add("bound", per_minute=3, pixels_per_day=0)}
    store.close()
    server = serve(model, data=data, job_workers=1, keys="on")
    began = time.monotonic()
    assert [server.get("/v1/models", **bound).status for _ in range(3)] == [200] * 3

    for days in (1, -1, 0):
        under_way = job_of(server, middling, **free)
        shift(days)
        assert shift_of(server) == days
        assert server.post("/v1/predict", raster, **free).status == 200
        refused = server.get("/v1/models", **bound)
        if refused.status == 200:
            assert time.monotonic() - began > 60
        else:
            assert (refused.status, refused.problem) == (429, "rate-limit")
            assert 0 < int(refused.headers["retry-after"]) <= 60
        assert end_of(server, under_way, **free)["state"] == "done"
        assert end_of(server, job_of(server, raster, **free), **free)["state"] == "done"

    assert len(server.get("/v1/jobs", **free).json["jobs"]) == 6
    assert_no_surprise(server)
