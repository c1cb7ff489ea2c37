"""What a key may take: requests within a minute, and pixels within a day.

Clocks are read inside the transaction, so that times are written in the order in which they were read.

The rate goes by the steady clock (``time.monotonic``), which all processes of a machine share and nobody
sets. It starts anew when the machine does. A request from before that seems to lie in the future, and
does not count, or within the last minute, and counts for the rest of it: nobody waits longer than a minute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

Clock = Callable[[], float]

_MINUTE_S = 60.0
_DAY_S = 86400.0
_KEPT_DAYS = 7


def take_request(connection: sqlite3.Connection, key: str, per_minute: int, *, steady: Clock) -> float | None:
    """Take one of the requests that a key has in any 60 seconds.

    The last ``per_minute`` requests lie in a ring, so that the slot whose turn it is holds the one that
    has to be a minute old.

    Args:
        connection: Within a transaction.
        key: Id of a key in the store.
        per_minute: Requests in any 60 seconds, at least 1.
        steady: Seconds on a clock that is never set.

    Returns:
        None when it is taken, else the seconds until one can be; a request that is refused does not count.
    """
    turn = connection.execute("SELECT next_slot FROM keys WHERE id = ?", (key,)).fetchone()
    slot = turn[0] if turn is not None else 0  # the key went with a file that was replaced just now
    known = connection.execute("SELECT at FROM requests WHERE key = ? AND slot = ?", (key, slot)).fetchone()
    now = steady()
    if known is not None and known[0] <= now < known[0] + _MINUTE_S:
        return float(known[0] + _MINUTE_S - now)
    connection.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?)", (key, slot, now))
    connection.execute("UPDATE keys SET next_slot = ? WHERE id = ?", ((slot + 1) % per_minute, key))
    return None


def take_pixels(
    connection: sqlite3.Connection, key: str, pixels: int, *, per_day: int, wall: Clock
) -> float | None:
    """Take pixels from what a key has in a day, in UTC.

    Each day keeps its own count for a week, so that a clock set back finds what was used that day, and
    one set forth and back again locks nobody out.

    Args:
        connection: Within a transaction.
        key: Id of a key in the store.
        pixels: How many, all or none.
        per_day: Pixels in a day, at least 1.
        wall: Seconds since 1970 in UTC.

    Returns:
        None when they are taken, else the seconds until the day is over.
    """
    day, passed_s = divmod(wall(), _DAY_S)
    known = connection.execute(
        "SELECT used FROM pixels WHERE key = ? AND day = ?", (key, int(day))
    ).fetchone()
    used = known[0] if known is not None else 0
    if used + pixels > per_day:
        return _DAY_S - passed_s
    connection.execute("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?)", (key, int(day), used + pixels))
    connection.execute("DELETE FROM pixels WHERE key = ? AND abs(day - ?) > ?", (key, int(day), _KEPT_DAYS))
    return None


def give_pixels(connection: sqlite3.Connection, key: str, pixels: int, *, wall: Clock) -> None:
    """Give back pixels of today; what was taken before midnight is not given back after it.

    Args:
        connection: Within a transaction.
        key: Id of a key in the store.
        pixels: How many.
        wall: Seconds since 1970 in UTC.
    """
    day = int(wall() // _DAY_S)
    connection.execute(
        "UPDATE pixels SET used = max(0, used - ?) WHERE key = ? AND day = ?", (pixels, key, day)
    )
