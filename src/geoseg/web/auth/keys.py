"""The API keys of the service: who may call it, and how much."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg.errors import SettingsError
from geoseg.web.auth import quotas as limits
from geoseg.web.auth.key_file import KeyFile
from geoseg.web.auth.quotas import Clock

FILE_NAME = "keys.sqlite"
"""Of the store, in the service's data folder."""

MAX_PER_MINUTE = 1_000_000
MAX_PIXELS_PER_DAY = 10**15

_KEY_PATTERN = re.compile(r"gsk_([0-9a-f]{8})_([0-9A-Za-z]{43})")
_ALPHABET = (
    string.ascii_letters + string.digits
)  # no "_", which parts a key, and no "-", which a click stops at
_SECRET_LENGTH = 43  # 43 of 62 letters: 256 bits
_MAX_NAME_LENGTH = 100
_LAST_USED_INTERVAL_S = 60.0
_COLUMNS = "id, name, per_minute, pixels_per_day, created, last_used, revoked"


@dataclass(frozen=True)
class Key:
    """A key in use, as its requests are answered.

    Attributes:
        id: 8 hexadecimal digits.
        name: Whose it is.
        per_minute: Requests in any 60 seconds; 0: no limit.
        pixels_per_day: Pixels in a day, in UTC; 0: no limit.
    """

    id: str
    name: str
    per_minute: int
    pixels_per_day: int


@dataclass(frozen=True)
class KeyInfo:
    """A key as its keeper sees it; times are in UTC.

    Attributes:
        id: 8 hexadecimal digits.
        name: Whose it is; unique among the keys in use.
        per_minute: Requests in any 60 seconds; 0: no limit.
        pixels_per_day: Pixels in a day, in UTC; 0: no limit.
        created: When it was made.
        last_used: When it was last right, to a minute.
        revoked: Since when it is refused.
    """

    id: str
    name: str
    per_minute: int
    pixels_per_day: int
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class KeyStore:
    """Keys and what they have taken, in one SQLite file for all threads and processes of a machine.

    A key reads ``gsk_<id>_<secret>``. Of the secret only its SHA-256 is stored. It is 256 bits drawn at
    random: nobody can try them all, so the slow hash that a password needs would only cost time.

    Args:
        path: The file; made, for its owner alone, if it is missing.
        wall_clock: Seconds since 1970 in UTC.
        monotonic_clock: Seconds on a clock that is never set, the same for all processes.
        busy_timeout_s: How long other processes may hold the file before that is a fault.

    Raises:
        OutputError: Here and in every method: the file is locked, damaged, gone or closed to this user,
            or its disk is full.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_clock: Clock = time.time,
        monotonic_clock: Clock = time.monotonic,
        busy_timeout_s: float = 5.0,
    ) -> None:
        self._file = KeyFile(path, busy_timeout_s)
        self._wall_clock, self._monotonic_clock = wall_clock, monotonic_clock

    def close(self) -> None:
        """Close the connections that nobody uses; the store can still be used."""
        self._file.close()

    def add(self, name: str, *, per_minute: int, pixels_per_day: int) -> str:
        """Make a key, and return its text, which cannot be had again.

        Args:
            name: Whose it is; printable, and not that of another key in use.
            per_minute: Requests in any 60 seconds; 0: no limit.
            pixels_per_day: Pixels in a day, in UTC; 0: no limit.

        Raises:
            SettingsError: A name or a limit that cannot be.
        """
        _check_name(name)
        _check_limit("per-minute", per_minute, MAX_PER_MINUTE)
        _check_limit("pixels-per-day", pixels_per_day, MAX_PIXELS_PER_DAY)
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
        with self._file.writing(durable=True) as connection:
            if connection.execute(
                "SELECT 1 FROM keys WHERE name = ? AND revoked IS NULL", (name,)
            ).fetchone():
                raise SettingsError(
                    "there is a key of this name", got=repr(name), hint="Revoke it, or take another name."
                )
            key = _new_id(connection)
            connection.execute(
                "INSERT INTO keys (id, name, hash, per_minute, pixels_per_day, created) VALUES (?, ?, ?, ?, ?, ?)",
                (key, name, _hash(secret), per_minute, pixels_per_day, self._wall_clock()),
            )
        return f"gsk_{key}_{secret}"

    def check(self, text: str) -> Key | None:
        """Return the key that a text is, or None.

        A text of another form, or with an id that is not there, costs what a wrong secret costs.
        """
        row = self._find_row(text)
        if row is None or row[-1] is not None:
            return None
        *values, _created, last_used, _revoked = row
        self._record_use(values[0], last_used)
        return Key(*values)

    def is_valid(self, text: str) -> bool:
        """Say whether a text is a key in use; nothing is written, so that nobody is waited for."""
        row = self._find_row(text)
        return row is not None and row[-1] is None

    def is_revoked(self, text: str) -> bool:
        """Say whether a text is a key, with its secret, that has been revoked."""
        row = self._find_row(text)
        return row is not None and row[-1] is not None

    def _find_row(self, text: str) -> tuple[Any, ...] | None:
        """Return what is stored of the key that a text is, or None; revoked keys are found too."""
        form = _KEY_PATTERN.fullmatch(text)
        key, secret = form.groups() if form else ("", text)
        given = _hash(secret)
        with self._file.reading() as connection:
            row = connection.execute(f"SELECT hash, {_COLUMNS} FROM keys WHERE id = ?", (key,)).fetchone()
        is_right = hmac.compare_digest(row[0] if row else bytes(len(given)), given)
        return tuple(row[1:]) if row is not None and is_right else None

    def list(self) -> list[KeyInfo]:
        """Return all keys, the oldest first, with those revoked."""
        with self._file.reading() as connection:
            return _infos(connection)

    def revoke(self, id_or_name: str) -> KeyInfo:
        """Refuse a key from now on, in all processes.

        Raises:
            SettingsError: No key in use has this id or name.
        """
        now = self._wall_clock()
        with self._file.writing(durable=True) as connection:
            named = (k for k in _infos(connection) if k.revoked is None and id_or_name in (k.id, k.name))
            found = next(named, None)
            if found is None:
                raise SettingsError(
                    "no key in use has this id or name",
                    got=repr(id_or_name),
                    hint="geoseg keys list shows them.",
                )
            connection.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, found.id))
            connection.execute("DELETE FROM requests WHERE key = ?", (found.id,))
        return found

    def count_request(self, key: Key) -> float | None:
        """Take a request from a key's rate; None when it is allowed, else the seconds until one is.

        At most ``per_minute`` are allowed in any 60 seconds. Those refused do not count.
        """
        if key.per_minute == 0:
            return None
        with self._file.writing(durable=False) as connection:
            return limits.count_request(
                connection, key.id, key.per_minute, monotonic_clock=self._monotonic_clock
            )

    def charge_pixels(self, key: Key, pixels: int, reference: str) -> float | None:
        """Take pixels from a key's day; None when they are allowed, else the seconds until midnight in UTC.

        Nothing is taken when they are refused. More than a whole day's are always refused.

        Args:
            key: Whose quota.
            pixels: How many.
            reference: Names the work that they are for. They are taken once for each reference, also if the process
                that took them was killed.
        """
        if key.pixels_per_day == 0:
            return None
        with self._file.writing(durable=False) as connection:
            return limits.charge_pixels(
                connection,
                key.id,
                pixels,
                reference=reference,
                per_day=key.pixels_per_day,
                wall_clock=self._wall_clock,
            )

    def refund_pixels(self, reference: str) -> None:
        """Give back the pixels that were taken for work that failed; they count for the day of the taking."""
        with self._file.writing(durable=False) as connection:
            limits.refund_pixels(connection, reference)

    def delete_charge(self, reference: str) -> None:
        """Drop the record of the pixels that were taken for work that is over; they stay taken."""
        with self._file.writing(durable=False) as connection:
            limits.delete_charge(connection, reference)

    def get(self, key_id: str) -> Key | None:
        """Return a key in use by its id, or None."""
        for found in self.list():
            if found.id == key_id and found.revoked is None:
                return Key(found.id, found.name, found.per_minute, found.pixels_per_day)
        return None

    def _record_use(self, key: str, last_used: float | None) -> None:
        now = self._wall_clock()
        # Not at every request: reading does not wait for others, writing does.
        if last_used is not None and 0 <= now - last_used < _LAST_USED_INTERVAL_S:
            return
        with self._file.writing(durable=False) as connection:
            connection.execute("UPDATE keys SET last_used = ? WHERE id = ?", (now, key))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _new_id(connection: sqlite3.Connection) -> str:
    while True:
        key = secrets.token_hex(4)
        if connection.execute("SELECT 1 FROM keys WHERE id = ?", (key,)).fetchone() is None:
            return key


def _infos(connection: sqlite3.Connection) -> list[KeyInfo]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY rowid").fetchall()
    return [KeyInfo(*row[:4], *(_to_datetime(seconds) for seconds in row[4:])) for row in rows]


def _to_datetime(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _check_name(name: str) -> None:
    is_id = re.fullmatch("[0-9a-f]{8}", name) is not None
    if name and name == name.strip() and name.isprintable() and len(name) <= _MAX_NAME_LENGTH and not is_id:
        return
    raise SettingsError(
        "a key cannot have this name",
        expected=f"1 to {_MAX_NAME_LENGTH} printable characters, no space at the ends, not 8 hexadecimal digits",
        got=ascii(name),
    )


def _check_limit(option: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise SettingsError(
            "this limit cannot be", where=option, expected=f"0 (no limit) to {most}", got=value
        )
