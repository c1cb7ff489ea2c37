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
# Made when it is first needed: stores of earlier versions lack it.
_CHARGES = """
CREATE TABLE IF NOT EXISTS charges (
    reference TEXT PRIMARY KEY, key TEXT NOT NULL, day INTEGER NOT NULL, pixels INTEGER NOT NULL
) WITHOUT ROWID
"""


def count_request(
    connection: sqlite3.Connection, key: str, per_minute: int, *, monotonic_clock: Clock
) -> float | None:
    """Take one of the requests that a key has in any 60 seconds.

    The last ``per_minute`` requests lie in a ring, so that the slot whose turn it is holds the one that
    has to be a minute old.

    Args:
        connection: Within a transaction.
        key: Id of a key in the store.
        per_minute: Requests in any 60 seconds, at least 1.
        monotonic_clock: Seconds on a clock that is never set.

    Returns:
        None when it is taken, else the seconds until one can be; a request that is refused does not count.
    """
    turn = connection.execute("SELECT next_slot FROM keys WHERE id = ?", (key,)).fetchone()
    slot = turn[0] if turn is not None else 0  # the key went with a file that was replaced just now
    known = connection.execute("SELECT at FROM requests WHERE key = ? AND slot = ?", (key, slot)).fetchone()
    now = monotonic_clock()
    if known is not None and known[0] <= now < known[0] + _MINUTE_S:
        return float(known[0] + _MINUTE_S - now)
    connection.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?)", (key, slot, now))
    connection.execute("UPDATE keys SET next_slot = ? WHERE id = ?", ((slot + 1) % per_minute, key))
    return None


def charge_pixels(
    connection: sqlite3.Connection, key: str, pixels: int, *, reference: str, per_day: int, wall_clock: Clock
) -> float | None:
    """Take pixels from the quota that a key has in a day, in UTC, once for each reference.

    Each day keeps its own count for a week. So a clock set back finds the count of that day, and a clock
    set forth and back again locks nobody out.

    Args:
        connection: Within a transaction.
        key: Id of a key in the store.
        pixels: How many, all or none. If the reference has taken another number before, it has this many now.
        reference: Names the work that the pixels are for.
        per_day: Pixels in a day, at least 1.
        wall_clock: Seconds since 1970 in UTC.

    Returns:
        None when they are taken, else the seconds until the day is over; then nothing has changed.
    """
    connection.execute(_CHARGES)
    day, passed_s = divmod(wall_clock(), _DAY_S)
    day = int(day)
    before = _charge(connection, reference)
    if before is not None and before[2] == pixels:
        return None
    free = before[2] if before is not None and before[:2] == (key, day) else 0
    known = connection.execute("SELECT used FROM pixels WHERE key = ? AND day = ?", (key, day)).fetchone()
    used = (known[0] if known is not None else 0) - free
    if used + pixels > per_day:
        return _DAY_S - passed_s
    refund_pixels(connection, reference)
    connection.execute("INSERT OR REPLACE INTO pixels VALUES (?, ?, ?)", (key, day, used + pixels))
    connection.execute("INSERT INTO charges VALUES (?, ?, ?, ?)", (reference, key, day, pixels))
    connection.execute("DELETE FROM pixels WHERE key = ? AND abs(day - ?) > ?", (key, day, _KEPT_DAYS))
    return None


def refund_pixels(connection: sqlite3.Connection, reference: str) -> None:
    """Give back the pixels that were taken for a reference, on the day of which they were taken.

    Args:
        connection: Within a transaction.
        reference: Names the work; nothing happens if nothing was taken for it.
    """
    connection.execute(_CHARGES)
    charge = _charge(connection, reference)
    if charge is not None:
        key, day, pixels = charge
        connection.execute(
            "UPDATE pixels SET used = max(0, used - ?) WHERE key = ? AND day = ?", (pixels, key, day)
        )
        delete_charge(connection, reference)


def delete_charge(connection: sqlite3.Connection, reference: str) -> None:
    """Drop the record of what was taken for a reference; the pixels stay taken.

    Args:
        connection: Within a transaction.
        reference: Names work that is over.
    """
    connection.execute(_CHARGES)
    connection.execute("DELETE FROM charges WHERE reference = ?", (reference,))


def _charge(connection: sqlite3.Connection, reference: str) -> tuple[str, int, int] | None:
    """Return the key, the day and the pixels of a reference."""
    found = connection.execute("SELECT key, day, pixels FROM charges WHERE reference = ?", (reference,))
    row: tuple[str, int, int] | None = found.fetchone()
    return row
