"""Limits of a key: requests per minute and pixels per day.

Clocks are read inside the transaction, so that times are stored in order.

The rate limit uses the monotonic clock (``time.monotonic``), which all processes of a machine share. This clock
restarts with the machine. A stored request from before the restart may seem to be in the future; it does not count.
Or it may seem to be in the last minute; it then counts until that minute ends. No client waits longer than a minute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

Clock = Callable[[], float]

_MINUTE_S = 60.0
_DAY_S = 86400.0
_KEPT_DAYS = 7
# Created on first use, because stores of earlier versions lack it.
_CHARGES = """
CREATE TABLE IF NOT EXISTS charges (
    reference TEXT PRIMARY KEY, key TEXT NOT NULL, day INTEGER NOT NULL, pixels INTEGER NOT NULL
) WITHOUT ROWID
"""


def count_request(
    connection: sqlite3.Connection, key: str, per_minute: int, *, monotonic_clock: Clock
) -> float | None:
    """Count a request against the rate limit of a key (sliding window log).

    The times of the last ``per_minute`` requests are in a ring buffer. The next slot holds the oldest one, which must be
    at least 60 seconds old.

    Args:
        connection: Connection inside a transaction.
        key: Id of a key in the store.
        per_minute: Most requests in any 60 seconds, at least 1.
        monotonic_clock: Returns the seconds of a monotonic clock.

    Returns:
        None if the request is allowed, otherwise the seconds until the next one is; rejected requests do not count.
    """
    turn = connection.execute("SELECT next_slot FROM keys WHERE id = ?", (key,)).fetchone()
    slot = turn[0] if turn is not None else 0  # the file was replaced meanwhile, and lacks the key
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
    """Charge pixels to the quota of a key per UTC day, once for each reference.

    The count of each day is kept for a week. The limit therefore stays correct when the system clock is set back or
    forward.

    Args:
        connection: Connection inside a transaction.
        key: Id of a key in the store.
        pixels: Number of pixels, all or none; replaces an earlier number of the same reference.
        reference: Identifier of the work.
        per_day: Most pixels per day, at least 1.
        wall_clock: Returns the seconds since 1970 in UTC.

    Returns:
        None if the pixels are charged; otherwise the seconds until the day ends, and nothing changes.
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
    """Refund the pixels of a reference to the day that they were charged to.

    Args:
        connection: Connection inside a transaction.
        reference: Identifier of the work; nothing happens if it has no charge.
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
    """Delete the charge record of a reference; its pixels stay charged.

    Args:
        connection: Connection inside a transaction.
        reference: Identifier of finished work.
    """
    connection.execute(_CHARGES)
    connection.execute("DELETE FROM charges WHERE reference = ?", (reference,))


def _charge(connection: sqlite3.Connection, reference: str) -> tuple[str, int, int] | None:
    """Return the key, day and pixels charged for a reference, or None."""
    found = connection.execute("SELECT key, day, pixels FROM charges WHERE reference = ?", (reference,))
    row: tuple[str, int, int] | None = found.fetchone()
    return row
