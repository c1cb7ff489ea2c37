"""How long requests may take to come: a deadline for each connection that one is read from."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from weakref import WeakKeyDictionary, WeakSet

from flask import request

_LOOK_EVERY_S = 0.25


class RequestDeadlines:
    """Closes connections for reading whose request has not come whole in time, however slowly it drips in.

    A thread that reads one then finds its end; a request that has come whole is answered all the same.
    """

    def __init__(self) -> None:
        self._began: WeakKeyDictionary[socket.socket, float] = WeakKeyDictionary()
        self._ends: WeakKeyDictionary[socket.socket, float] = WeakKeyDictionary()
        self._late: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Watch, in a thread of its own."""
        threading.Thread(target=self._watch, name="patience", daemon=True).start()

    def begin(self, sock: socket.socket, seconds: float) -> None:
        """Give the request that comes now so many seconds."""
        with self._lock:
            self._began[sock] = now = time.monotonic()
            self._ends[sock] = now + seconds

    def extend(self, sock: socket.socket, seconds: float) -> None:
        """Give it so many seconds, counted from its beginning, instead."""
        with self._lock:
            if sock in self._ends:
                self._ends[sock] = self._began[sock] + seconds

    def end(self, sock: socket.socket) -> None:
        """Note that it has come whole, or that it is over."""
        with self._lock:
            self._ends.pop(sock, None)

    def is_late(self, sock: socket.socket) -> bool:
        """Say whether a connection was closed for reading."""
        return sock in self._late

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Close what is late."""
        now = time.monotonic()
        with self._lock:
            for sock in [sock for sock, end in self._ends.items() if end < now]:
                del self._ends[sock]
                self._late.add(sock)
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RD)


PATIENCE = RequestDeadlines()
"""Of this process."""


def connection() -> socket.socket | None:
    """Return the connection of the present request, where the server tells it."""
    found = request.environ.get("gunicorn.socket")
    return found if isinstance(found, socket.socket) else None


def has_come() -> None:
    """Note that the present request has come whole."""
    sock = connection()
    if sock is not None:
        PATIENCE.end(sock)


def is_late() -> bool:
    """Say whether the present request did not come in time."""
    sock = connection()
    return sock is not None and PATIENCE.is_late(sock)
