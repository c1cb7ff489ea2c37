"""Admission control: limit the predictions of a process that wait or compute at the same time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from geoseg.web.http.problems import BUSY, TIMEOUT, Problem

_SMOOTHING = 0.8


class Admission:
    """Limit of concurrent predictions; further requests get 503 with Retry-After.

    Args:
        limit: Most predictions at the same time.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._admitted, self._seconds = limit, 0, 1.0
        self._lock = threading.Lock()

    @property
    def admitted(self) -> int:
        """Number of predictions that wait or compute."""
        return self._admitted

    def check(self) -> None:
        """Check that another prediction may start.

        Raises:
            Problem: The limit is reached; Retry-After is the recent mean duration of a prediction.
        """
        if self._admitted < self._limit:
            return
        wait = max(1, math.ceil(self._seconds))
        detail = f"{self._limit} predictions are already waiting or computing; try again in {wait} s."
        raise Problem(BUSY, detail, headers={"Retry-After": str(wait)})

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a prediction until the block ends.

        Raises:
            Problem: The limit is reached.
        """
        with self._lock:
            self.check()
            self._admitted += 1
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._admitted -= 1
                self._seconds = _SMOOTHING * self._seconds + (1 - _SMOOTHING) * (time.monotonic() - began)


class Deadline:
    """Progress that stops a prediction at its time limit.

    Args:
        seconds: Time limit, from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def start(self, what: str, total: int) -> None:  # noqa: ARG002
        """Check the time limit."""
        self.advance()

    def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002
        """Check the time limit.

        Raises:
            Problem: The time is over.
        """
        if time.monotonic() > self._end:
            raise Problem(
                TIMEOUT,
                f"The prediction exceeded the time limit of {self._seconds:g} s; create a job instead (POST /v1/jobs).",
            )

    def say(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""
