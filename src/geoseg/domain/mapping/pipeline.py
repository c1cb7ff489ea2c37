"""Parallel pipeline stages: one reads while the next computes and the last one writes."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE_S = 0.1


@dataclass(frozen=True)
class _End:
    """End of the items, with the error that ended them, if any."""

    error: BaseException | None


class _Stage(Generic[T]):
    """A thread that moves items from an iterator into a queue until it is stopped."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self._items = items
        self.queue: Queue[tuple[T] | _End] = Queue(depth)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        end = _End(None)
        try:
            for item in self._items:
                if not self._put((item,)):
                    break
        except BaseException as error:  # noqa: BLE001 -- raised again where the items are taken
            end = _End(error)
        if isinstance(self._items, Generator):
            self._items.close()
        self._put(end)

    def _put(self, what: tuple[T] | _End) -> bool:
        while not self.stopped.is_set():
            try:
                self.queue.put(what, timeout=_PATIENCE_S)
            except Full:
                continue
            return True
        return False


def prefetch(items: Iterable[T], depth: int = 1) -> Generator[T]:
    """Run an iterator in a separate thread and yield its items; up to ``depth`` items are buffered.

    An error of the iterator is raised in the consumer. Closing the generator early stops the thread after the current
    item.

    Args:
        items: The items; iterated in the other thread only.
        depth: Maximum number of buffered items, >= 1.
    """
    stage = _Stage(items, depth)
    stage.thread.start()
    try:
        while True:
            found = stage.queue.get()
            if isinstance(found, _End):
                if found.error is not None:
                    raise found.error
                return
            yield found[0]
    finally:
        stage.stopped.set()
        stage.thread.join()
