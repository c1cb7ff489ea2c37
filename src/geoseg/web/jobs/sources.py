"""Allowed sources of rasters: URLs and folders on the lists of the operator."""

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
# Characters of a URL (RFC 3986). Programs disagree about spaces, backslashes and control characters.
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class SourceUrl:
    """The parts of a raster URL.

    Attributes:
        scheme: "http" or "https".
        host: Host in lower case.
        port: Port.
        path: Path, beginning with "/".
        query: Part after "?"; empty for none.
        is_explicit_host: Whether the allowed prefix has an IP address or localhost as host; it may then be private.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    is_explicit_host: bool = False

    @property
    def target(self) -> str:
        """Path and query, as in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


def is_url(text: str) -> bool:
    """Return whether a source is a URL, not a path."""
    return _SCHEME.match(text) is not None


def check_source(text: str, settings: ServeSettings) -> None:
    """Check that a URL or path of a raster is allowed.

    Raises:
        Problem: The source is not allowed, or the file does not exist in an allowed folder.
    """
    if is_url(text):
        allowed_url(text, settings.allow_urls)
    else:
        allowed_path(text, settings.allow_folders)


def allowed_url(text: str, prefixes: Sequence[str]) -> SourceUrl:
    """Parse a URL that begins with an allowed prefix: same scheme, host, port and leading folders.

    Raises:
        Problem: The URL matches no prefix, or programs may interpret it differently.
    """
    address = _parse(text)
    if address is not None:
        for prefix in filter(None, map(_parse, prefixes)):
            if _is_below(address, prefix):
                return replace(address, is_explicit_host=_is_ip_or_localhost(prefix.host))
    raise Problem(
        FORBIDDEN_SOURCE,
        "The service may not read rasters from this address. The operator has to allow it (allow_urls).",
    )


def allowed_path(text: str, folders: Sequence[Path]) -> Path:
    """Resolve the links of a path, and return the file if it is inside an allowed folder.

    Raises:
        Problem: The file is outside all folders, or does not exist.
    """
    refusal = Problem(
        FORBIDDEN_SOURCE,
        "The service may not read rasters from this path. The operator has to allow its folder (allow_folders).",
    )
    try:
        path = Path(text)
        found = path.resolve()
        is_inside = any(found.is_relative_to(folder.resolve()) for folder in folders)
        is_file = is_inside and found.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # Circular links, long names, NUL.
        raise refusal from error
    if not (path.is_absolute() and is_inside):
        raise refusal
    if not is_file:
        raise Problem(NOT_FOUND, "There is no such raster.")
    return found


def _parse(text: str) -> SourceUrl | None:
    """Parse a URL; return None if programs may interpret it differently."""
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
    """Return whether a path contains "..", or escapes that hide special characters."""
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
