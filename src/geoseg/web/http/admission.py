"""Admission: how many predictions of a process may wait or compute at the same time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from geoseg.web.http.problems import BUSY, TIMEOUT, Problem

_SMOOTHING = 0.8


class Admission:
    """Lets in so many predictions; those beyond are told when to try again.

    Args:
        limit: Predictions let in at the same time.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._admitted, self._seconds = limit, 0, 1.0
        self._lock = threading.Lock()

    @property
    def admitted(self) -> int:
        """Predictions that wait or compute."""
        return self._admitted

    def check(self) -> None:
        """Make sure that there is room.

        Raises:
            Problem: It is full; Retry-After is how long one prediction took of late.
        """
        if self._admitted < self._limit:
            return
        wait = max(1, math.ceil(self._seconds))
        detail = f"{self._limit} predictions wait or compute already; try again in {wait} s."
        raise Problem(BUSY, detail, headers={"Retry-After": str(wait)})

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Let a prediction in until the block ends.

        Raises:
            Problem: It is full.
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
    """Progress of a prediction that ends it when its time is over.

    Args:
        seconds: How long it may take from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def start(self, what: str, total: int) -> None:  # noqa: ARG002
        """See whether there is time."""
        self.advance()

    def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002
        """See whether there is time.

        Raises:
            Problem: There is none left.
        """
        if time.monotonic() > self._end:
            raise Problem(
                TIMEOUT, f"A prediction may take {self._seconds:g} s here; make a job of it (POST /v1/jobs)."
            )

    def say(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
