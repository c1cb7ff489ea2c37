"""Clients that ask a server at once, and what they were answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Load:
    """Clients that ask one after the other, and what they were answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: int = 0
    lasted_s: float = 0.0

    def run(self, clients: int, seconds: float, ask: Callable[[], int]) -> None:
        """Let so many clients ask for so many seconds; what is under way then is finished."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._ask, args=(began + seconds, ask)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.lasted_s = time.monotonic() - began

    def _ask(self, end: float, ask: Callable[[], int]) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                status = ask()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                continue
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(time.monotonic() - began)
            elif status == 503:
                time.sleep(0.5)
            else:
                self.errors += 1
