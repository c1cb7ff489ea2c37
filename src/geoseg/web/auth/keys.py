"""API keys of the service and their limits."""

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
"""File name of the key store in the data folder."""

MAX_PER_MINUTE = 1_000_000
MAX_PIXELS_PER_DAY = 10**15

_KEY_PATTERN = re.compile(r"gsk_([0-9a-f]{8})_([0-9A-Za-z]{43})")
_ALPHABET = (
    string.ascii_letters + string.digits
)  # without "_", the separator of the parts, and "-", where a double click stops
_SECRET_LENGTH = 43  # 43 of 62 letters: 256 bits
_MAX_NAME_LENGTH = 100
_LAST_USED_INTERVAL_S = 60.0
_COLUMNS = "id, name, per_minute, pixels_per_day, created, last_used, revoked"


@dataclass(frozen=True)
class Key:
    """An active key.

    Attributes:
        id: 8 hexadecimal digits.
        name: Name of the owner.
        per_minute: Most requests in any 60 seconds; 0: no limit.
        pixels_per_day: Most pixels per UTC day; 0: no limit.
    """

    id: str
    name: str
    per_minute: int
    pixels_per_day: int


@dataclass(frozen=True)
class KeyInfo:
    """A key as listed for the operator; times are in UTC.

    Attributes:
        id: 8 hexadecimal digits.
        name: Name of the owner; unique among active keys.
        per_minute: Most requests in any 60 seconds; 0: no limit.
        pixels_per_day: Most pixels per UTC day; 0: no limit.
        created: Time of creation.
        last_used: Time of the last valid request, to the minute.
        revoked: Time of revocation.
    """

    id: str
    name: str
    per_minute: int
    pixels_per_day: int
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class KeyStore:
    """API keys and their usage, in one SQLite file for all threads and processes of a machine.

    A key has the form ``gsk_<id>_<secret>``. Only the SHA-256 of the secret is stored. The secret has 256 random bits,
    so it needs no slow password hash.

    Args:
        path: The file; created with access for this user only, if missing.
        wall_clock: Returns the seconds since 1970 in UTC.
        monotonic_clock: Returns the seconds of a monotonic clock that all processes share.
        busy_timeout_s: Time to wait for a locked file, in seconds.

    Raises:
        OutputError: Here and in every method: the file is locked, damaged, missing or not accessible, or the disk is
            full.
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
        """Close the idle connections; the store stays usable."""
        self._file.close()

    def add(self, name: str, *, per_minute: int, pixels_per_day: int) -> str:
        """Create a key, and return its text, which is not stored.

        Args:
            name: Name of the owner; printable, and different from other active keys.
            per_minute: Most requests in any 60 seconds; 0: no limit.
            pixels_per_day: Most pixels per UTC day; 0: no limit.

        Raises:
            SettingsError: The name or a limit is invalid.
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
                    "a key with this name exists", got=repr(name), hint="Revoke it, or choose another name."
                )
            key = _new_id(connection)
            connection.execute(
                "INSERT INTO keys (id, name, hash, per_minute, pixels_per_day, created) VALUES (?, ?, ?, ?, ?, ?)",
                (key, name, _hash(secret), per_minute, pixels_per_day, self._wall_clock()),
            )
        return f"gsk_{key}_{secret}"

    def check(self, text: str) -> Key | None:
        """Return the active key with this text, or None.

        A malformed text, an unknown id and a wrong secret all take the same time.
        """
        row = self._find_row(text)
        if row is None or row[-1] is not None:
            return None
        *values, _created, last_used, _revoked = row
        self._record_use(values[0], last_used)
        return Key(*values)

    def is_valid(self, text: str) -> bool:
        """Return whether a text is an active key, without writing and so without waiting for a lock."""
        row = self._find_row(text)
        return row is not None and row[-1] is None

    def is_revoked(self, text: str) -> bool:
        """Return whether a text is a revoked key with the right secret."""
        row = self._find_row(text)
        return row is not None and row[-1] is not None

    def _find_row(self, text: str) -> tuple[Any, ...] | None:
        """Return the stored row of the key with this text, active or revoked, or None."""
        form = _KEY_PATTERN.fullmatch(text)
        key, secret = form.groups() if form else ("", text)
        given = _hash(secret)
        with self._file.reading() as connection:
            row = connection.execute(f"SELECT hash, {_COLUMNS} FROM keys WHERE id = ?", (key,)).fetchone()
        is_right = hmac.compare_digest(row[0] if row else bytes(len(given)), given)
        return tuple(row[1:]) if row is not None and is_right else None

    def list(self) -> list[KeyInfo]:
        """Return all keys, also revoked ones, the oldest first."""
        with self._file.reading() as connection:
            return _infos(connection)

    def revoke(self, id_or_name: str) -> KeyInfo:
        """Revoke a key immediately, in all processes.

        Raises:
            SettingsError: No active key has this id or name.
        """
        now = self._wall_clock()
        with self._file.writing(durable=True) as connection:
            named = (k for k in _infos(connection) if k.revoked is None and id_or_name in (k.id, k.name))
            found = next(named, None)
            if found is None:
                raise SettingsError(
                    "no active key has this id or name",
                    got=repr(id_or_name),
                    hint="List the keys with geoseg keys list.",
                )
            connection.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, found.id))
            connection.execute("DELETE FROM requests WHERE key = ?", (found.id,))
        return found

    def count_request(self, key: Key) -> float | None:
        """Count a request against the rate limit of a key.

        Rejected requests do not count.

        Returns:
            None if the request is allowed, otherwise the seconds until the next one is.
        """
        if key.per_minute == 0:
            return None
        with self._file.writing(durable=False) as connection:
            return limits.count_request(
                connection, key.id, key.per_minute, monotonic_clock=self._monotonic_clock
            )

    def charge_pixels(self, key: Key, pixels: int, reference: str) -> float | None:
        """Charge pixels to the daily quota of a key.

        Args:
            key: The key.
            pixels: Number of pixels, all or none.
            reference: Identifier of the work. Each reference is charged once, even if a process was killed meanwhile.

        Returns:
            None if the pixels are charged, otherwise the seconds until midnight in UTC.
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
        """Refund the pixels of failed work to the day that they were charged to."""
        with self._file.writing(durable=False) as connection:
            limits.refund_pixels(connection, reference)

    def delete_charge(self, reference: str) -> None:
        """Delete the charge record of finished work; its pixels stay charged."""
        with self._file.writing(durable=False) as connection:
            limits.delete_charge(connection, reference)

    def get(self, key_id: str) -> Key | None:
        """Return an active key by its id, or None."""
        for found in self.list():
            if found.id == key_id and found.revoked is None:
                return Key(found.id, found.name, found.per_minute, found.pixels_per_day)
        return None

    def _record_use(self, key: str, last_used: float | None) -> None:
        now = self._wall_clock()
        # Not at every request: a write waits for other writers.
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
        "invalid name of a key",
        expected=f"1 to {_MAX_NAME_LENGTH} printable characters, no space at the ends, not 8 hexadecimal digits",
        got=ascii(name),
    )


def _check_limit(option: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise SettingsError("invalid limit", where=option, expected=f"0 (no limit) to {most}", got=value)
