"""Whatever images strangers send are refused or mapped, in bounded time and memory, and good ones mapped meanwhile."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.hostile_images.corpus import hostile_images
from tests.web.hostile.answers import assert_well, fault_of
from tests.web.hostile.raw_requests import END, FORM, LONGEST_S, part
from tests.web.watching import memory_of

pytestmark = pytest.mark.slow

MOST_GROWTH = 600 << 20
MAX_UPLOAD = 8 << 20
"""Of the service under test, in bytes."""


class Poster:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)

    def post(self, content: bytes, query: str = "") -> Any:
        """Return the answer, or None if the connection is closed while a body that is too large is sent."""
        body, headers = part(content) + END, {"Content-Type": FORM.decode()}
        try:
            self._line.request("POST", "/v1/predict" + query, body, headers)
            answer = self._line.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            # The service closes a connection whose body it did not want to read.
            self._line.close()
            try:
                self._line.request("POST", "/v1/predict" + query, body, headers)
                answer = self._line.getresponse()
            except ConnectionError:
                self._line.close()
                return None
        answer.content = answer.read()  # type: ignore[attr-defined]
        return answer

    def close(self) -> None:
        self._line.close()


def test_hostile_images_are_refused_and_good_ones_mapped_all_the_while(strict, image, raster):
    cases = list(hostile_images())
    right = strict.post("/v1/predict?ids=true", raster).body
    before, wrong, seconds = memory_of(strict.process.pid), list[str](), dict[str, float]()

    def send(first: int) -> None:
        poster = Poster(strict.port)
        try:
            for number in range(first, len(cases), 4):
                name, content, may_succeed = cases[number]
                began = time.monotonic()
                answer = poster.post(content)
                seconds[name] = time.monotonic() - began
                if answer is None:
                    assert len(content) > MAX_UPLOAD, name
                # Fair ones may be large.
                elif not (may_succeed and answer.status in {200, 504}):
                    wrong.extend(_faults(name, answer))
                if number % 100 < 4:
                    assert poster.post(image, "?ids=true").content == right
        finally:
            poster.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))

    assert len(cases) >= 300
    assert not wrong
    assert len(seconds) == len(cases)
    assert max(seconds.values()) < LONGEST_S, max(seconds, key=seconds.__getitem__)
    assert memory_of(strict.process.pid) - before < MOST_GROWTH
    assert_well(strict, raster)


def _faults(name: str, answer: Any) -> Iterator[str]:
    try:
        fault_of(answer)
    except (AssertionError, ValueError, KeyError) as error:
        yield f"{name}: {error}"


SHAPES = {
    "100,000 columns": np.full((3, 1, 100_000), 90, np.uint8),
    "100,000 rows": np.full((3, 100_000, 1), 90, np.uint8),
    "no number": np.full((3, 64, 64), np.nan, np.float32),
    "infinite": np.full((3, 64, 64), np.inf, np.float32),
    "minus infinite": np.full((3, 64, 64), -np.inf, np.float32),
    "greatest float": np.full((3, 64, 64), np.finfo(np.float32).max, np.float32),
    "no data": np.zeros((3, 64, 64), np.uint8),
}


@pytest.mark.parametrize("name", SHAPES)
def test_extreme_images_are_answered_in_bounded_time_and_memory(strict, raster, write_tiff, tmp_path, name):
    path = write_tiff(tmp_path / "extreme.tif", SHAPES[name], nodata=0 if name == "no data" else None)
    before, began = memory_of(strict.process.pid), time.monotonic()
    answer = strict.post("/v1/predict", path, Accept="application/json")
    if answer.status == 200:
        height, width = SHAPES[name].shape[1:]
        assert (answer.json["height"], answer.json["width"]) == (height, width)
    else:
        assert (answer.status, answer.problem) in {
            (422, "bad-image"),
            (422, "other-values"),
            (504, "timeout"),
        }
    assert time.monotonic() - began < LONGEST_S
    assert memory_of(strict.process.pid) - before < MOST_GROWTH
    assert_well(strict, raster)
