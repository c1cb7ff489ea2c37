"""Dynamic batching: windows that several threads ask about at the same time share a pass of the network."""

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
class _Question:
    """Windows of one caller, and where the answer goes."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    answer: Future[NDArray[np.float32]] = field(default_factory=Future)

    @property
    def windows(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape[1:]


class Batcher:
    """A predictor that many threads share: a thread of its own computes, one pass after the other.

    Windows of one shape that wait together go through one pass, the longest waiting first. A pass waits for more only
    while somebody who is at work with it (:meth:`at_work`) has not asked yet, and never longer than ``wait_s``.

    Args:
        predictor: What computes; called from one thread only.
        most: Windows that share a pass at most, >= 1; those that one caller asks together stay together.
        wait_s: How long a window waits for others.
        watch: Told of every pass: how many windows, and how many seconds.
    """

    def __init__(
        self, predictor: Predictor, *, most: int, wait_s: float, watch: JobProgress | None = None
    ) -> None:
        self._predictor, self._most, self._wait_s, self._watch = predictor, most, wait_s, watch
        self._waiting = list[_Question]()
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
    def at_work(self) -> Iterator[None]:
        """Count the caller among those whose windows a pass may wait for."""
        with self._changed:
            self._callers += 1
        try:
            yield
        finally:
            with self._changed:
                self._callers -= 1
                self._changed.notify_all()

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) that are valid where (N, h, w).

        Raises:
            RuntimeError: It is closed.
        """
        question = _Question(pixels, valid)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("this batcher is closed")
            self._waiting.append(question)
            self._changed.notify_all()
        return question.answer.result()

    def close(self) -> None:
        """Answer what waits, then stop."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            started = time.perf_counter()
            try:
                self._answer(batch)
                if self._watch is not None:
                    self._watch(sum(q.windows for q in batch), time.perf_counter() - started)
            except Exception as error:  # noqa: BLE001 -- raised again in the threads that asked
                for question in batch:
                    if not question.answer.done():
                        question.answer.set_exception(error)

    def _next(self) -> list[_Question]:
        """Wait for questions and take those of the next pass; nothing when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            deadline = time.monotonic() + self._wait_s
            while self._is_worth_waiting() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            batch = self._alike()
            self._waiting = [q for q in self._waiting if q not in batch]
            return batch

    def _is_worth_waiting(self) -> bool:
        if not self._waiting or self._is_closed or len(self._waiting) >= self._callers:
            return False
        return sum(q.windows for q in self._alike()) < self._most

    def _alike(self) -> list[_Question]:
        """Return the first questions of the shape that waits longest, as many as a pass takes."""
        taken, windows = list[_Question](), 0
        for question in self._waiting:
            if question.shape != self._waiting[0].shape:
                continue
            windows += question.windows
            if taken and windows > self._most:
                break
            taken.append(question)
        return taken

    def _answer(self, batch: list[_Question]) -> None:
        pixels = np.concatenate([q.pixels for q in batch]) if len(batch) > 1 else batch[0].pixels
        valid = np.concatenate([q.valid for q in batch]) if len(batch) > 1 else batch[0].valid
        found = self._predictor.probabilities(pixels, valid)
        ends = np.cumsum([q.windows for q in batch])[:-1]
        for question, part in zip(batch, np.split(found, ends), strict=True):
            question.answer.set_result(part)
