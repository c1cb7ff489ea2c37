"""Workers that stop or die at a chosen moment, as often as a job asks whether it is to stop."""

from __future__ import annotations

from collections.abc import Callable


class Killed(BaseException):
    """Ends a worker as a kill does: nothing more is written, and its locks are free."""


class After:
    """Says that the worker is to stop, or kills it, from a moment on.

    Args:
        is_now: Says whether the moment has come.
        kill: Whether to kill the worker.
    """

    def __init__(self, is_now: Callable[[], object], *, kill: bool = False) -> None:
        self._is_now, self._kill = is_now, kill

    def __call__(self) -> bool:
        if not self._is_now():
            return False
        if self._kill:
            raise Killed
        return True
