"""Dynamic batching: windows from several threads share a forward pass of the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Predictor

JobProgress = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class _Request:
    """Windows of one caller, and the future of their result."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    result: Future[NDArray[np.float32]] = field(default_factory=Future)

    @property
    def windows(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape[1:]


class Batcher:
    """A predictor shared by many threads; a separate thread runs one pass after the other.

    Waiting windows of the same shape share a pass, the oldest first. A pass waits for more windows only while an
    active caller (:meth:`active`) has no request, and at most ``wait_s``.

    Args:
        predictor: The predictor, called from one thread only.
        max_windows: Maximum number of windows per pass, >= 1; the windows of one request are never split.
        wait_s: Maximum time in seconds that a window waits for others.
        on_pass: Called after every pass with the number of windows and the seconds.
    """

    def __init__(
        self, predictor: Predictor, *, max_windows: int, wait_s: float, on_pass: JobProgress | None = None
    ) -> None:
        self._predictor, self._max_windows, self._wait_s, self._on_pass = (
            predictor,
            max_windows,
            wait_s,
            on_pass,
        )
        self._waiting = list[_Request]()
        self._callers = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self._predictor.classes

    @contextmanager
    def active(self) -> Iterator[None]:
        """Mark the caller as active; a pass may wait for its windows."""
        with self._changed:
            self._callers += 1
        try:
            yield
        finally:
            with self._changed:
                self._callers -= 1
                self._changed.notify_all()

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) with validity (N, h, w).

        Raises:
            RuntimeError: The batcher is closed.
        """
        request = _Request(pixels, valid)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("this batcher is closed")
            self._waiting.append(request)
            self._changed.notify_all()
        return request.result.result()

    def close(self) -> None:
        """Process the waiting requests, then stop."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._take_pass():
            started = time.perf_counter()
            try:
                self._predict(batch)
                if self._on_pass is not None:
                    self._on_pass(sum(q.windows for q in batch), time.perf_counter() - started)
            except Exception as error:  # noqa: BLE001 -- raised again in the callers' threads
                for request in batch:
                    if not request.result.done():
                        request.result.set_exception(error)

    def _take_pass(self) -> list[_Request]:
        """Wait for requests and take those of the next pass; return none when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            deadline = time.monotonic() + self._wait_s
            while self._is_worth_waiting() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            batch = self._next_pass()
            self._waiting = [q for q in self._waiting if q not in batch]
            return batch

    def _is_worth_waiting(self) -> bool:
        if not self._waiting or self._is_closed or len(self._waiting) >= self._callers:
            return False
        return sum(q.windows for q in self._next_pass()) < self._max_windows

    def _next_pass(self) -> list[_Request]:
        """Return the oldest requests of one shape, as many as fit into a pass."""
        taken, windows = list[_Request](), 0
        for request in self._waiting:
            if request.shape != self._waiting[0].shape:
                continue
            windows += request.windows
            if taken and windows > self._max_windows:
                break
            taken.append(request)
        return taken

    def _predict(self, batch: list[_Request]) -> None:
        pixels = np.concatenate([q.pixels for q in batch]) if len(batch) > 1 else batch[0].pixels
        valid = np.concatenate([q.valid for q in batch]) if len(batch) > 1 else batch[0].valid
        found = self._predictor.probabilities(pixels, valid)
        ends = np.cumsum([q.windows for q in batch])[:-1]
        for request, part in zip(batch, np.split(found, ends), strict=True):
            request.result.set_result(part)
