"""Which rasters jobs may read by reference: addresses and folders from the operator's lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geoseg.settings.serving import ServeSettings
from geoseg.web.http.problems import FORBIDDEN_SOURCE, NOT_FOUND, Problem

_PORTS = {"http": 80, "https": 443}
# What a URL is written with (RFC 3986); spaces, backslashes and control characters are read differently by
# different programs.
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class SourceUrl:
    """An address of a raster, taken apart.

    Attributes:
        scheme: "http" or "https".
        host: In lower case.
        port: Its port.
        path: From "/" on.
        query: After "?"; empty for none.
        is_explicit_host: Whether the operator wrote this very IP address, or localhost, so that a private one is meant.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    is_explicit_host: bool = False

    @property
    def target(self) -> str:
        """What is asked of the server."""
        return f"{self.path}?{self.query}" if self.query else self.path


def is_url(text: str) -> bool:
    """Say whether a source is an address, and not a path."""
    return _SCHEME.match(text) is not None


def check_source(text: str, settings: ServeSettings) -> None:
    """Make sure that a raster may be read from an address or a path.

    Raises:
        Problem: It may not, or there is no such file in a folder that may be read.
    """
    if is_url(text):
        allowed_url(text, settings.allow_urls)
    else:
        allowed_path(text, settings.allow_folders)


def allowed_url(text: str, prefixes: Sequence[str]) -> SourceUrl:
    """Take an address apart that begins with one of the prefixes, part by part: scheme, host, port, folders.

    Raises:
        Problem: It begins with none of them, or is written so that programs may read it differently.
    """
    address = _parse(text)
    if address is not None:
        for prefix in filter(None, map(_parse, prefixes)):
            if _is_below(address, prefix):
                return replace(address, is_explicit_host=_is_ip_or_localhost(prefix.host))
    raise Problem(
        FORBIDDEN_SOURCE,
        "Rasters may not be read from this address; the operator of the service has to allow it.",
    )


def allowed_path(text: str, folders: Sequence[Path]) -> Path:
    """Return the file that a path leads to, in the end, if it lies in one of the folders.

    Raises:
        Problem: It does not, or it is no file.
    """
    refusal = Problem(
        FORBIDDEN_SOURCE,
        "Rasters may not be read from this path; the operator of the service has to allow its folder.",
    )
    try:
        path = Path(text)
        found = path.resolve()
        is_inside = any(found.is_relative_to(folder.resolve()) for folder in folders)
        is_file = is_inside and found.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # Links in a circle, names too long, NUL.
        raise refusal from error
    if not (path.is_absolute() and is_inside):
        raise refusal
    if not is_file:
        raise Problem(NOT_FOUND, "There is no such raster.")
    return found


def _parse(text: str) -> SourceUrl | None:
    """Take an address apart; None if it is not one that every program reads alike."""
    if not _URL_CHARACTERS.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    is_odd = "@" in parts.netloc or "#" in text or not parts.hostname or _is_ambiguous(parts.path)
    if is_odd or parts.scheme not in _PORTS or parts.hostname is None:
        return None
    port = _PORTS[parts.scheme] if port is None else port
    return SourceUrl(parts.scheme, parts.hostname, port, parts.path or "/", parts.query)


def _is_ambiguous(path: str) -> bool:
    """Say whether a path may lead elsewhere than it says: through "..", or through what is hidden by escapes."""
    plain = unquote(path)
    segments = plain.split("/")
    hides = "%" in plain or "\\" in plain or plain.count("/") != path.count("/") or not plain.isprintable()
    return hides or "." in segments or ".." in segments


def _is_below(address: SourceUrl, prefix: SourceUrl) -> bool:
    folder = prefix.path.rstrip("/")
    is_inside = address.path == prefix.path or address.path.startswith(f"{folder}/")
    return is_inside and _server(address) == _server(prefix)


def _server(address: SourceUrl) -> tuple[str, str, int]:
    return address.scheme, address.host, address.port


def _is_ip_or_localhost(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
