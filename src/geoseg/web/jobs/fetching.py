"""Fetch a raster from an allowed address, from a machine that is what it says it is."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

from geoseg.domain.ports import Progress
from geoseg.web.http.problems import BAD_PARAMETER, FORBIDDEN_SOURCE, TOO_LARGE, Problem
from geoseg.web.jobs.sources import Address
from geoseg.workflows.service_files import remove_leftovers, sniff_file, whole_file

SILENCE_S = 30.0
WHOLE_S = 3600.0
MIB = 1 << 20
_CHUNK = 1 << 16
_NAT64 = IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], list[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host.

    Raises:
        OSError: It is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def fetch(
    address: Address, folder: Path, *, max_mib: float, progress: Progress, resolve: Resolve = resolve_host
) -> Path:
    """Download a raster into a folder, as ``input`` with the suffix of what it is, whole or not at all.

    The host's name is looked up once, and the connection goes to the very IP address that was checked, so that a name
    that means something else a moment later changes nothing. Redirects are not followed, proxies not used.

    Args:
        address: Where it is, allowed before.
        folder: Where it goes.
        max_mib: How large it may be.
        progress: Advanced as bytes come; what it raises stops the download.
        resolve: Looks up a host's IP addresses.

    Raises:
        Problem: The host is a private one, it cannot be reached, answers something else, or sends too much.
        OutputError: The file cannot be written.
    """
    places = _checked(address, resolve)
    partial = folder / "input.part"
    remove_leftovers(partial)
    try:
        with closing(_connection(address, places)) as connection:
            connection.request("GET", address.target, headers={"User-Agent": "geoseg", "Accept": "*/*"})
            with closing(connection.getresponse()) as response:
                total = _checked_size(response, max_mib)
                progress.start("Fetching", total)
                _write(partial, _chunks(response, total, max_mib), progress)
    except (OSError, HTTPException) as error:
        raise _broken() from error
    # What it is will be checked; a name of a known kind is enough here.
    return partial.replace(folder / f"input.{sniff_file(partial) or 'tif'}")


def _checked(address: Address, resolve: Resolve) -> list[str]:
    """Look the host up, and refuse it if one of its addresses is not public."""
    try:
        places = resolve(address.host, address.port)
    except (OSError, UnicodeError) as error:
        raise _unreadable("its host is not known") from error
    if not places or not (address.is_named or all(map(is_public, places))):
        raise Problem(FORBIDDEN_SOURCE, "This address leads to a network that may not be read from.")
    return places


def is_public(text: str) -> bool:
    """Say whether an IP address is one of the internet, also where it wraps another one."""
    place = ip_address(text.partition("%")[0])
    if isinstance(place, IPv6Address):
        wrapped = place.ipv4_mapped or place.sixtofour
        if place in _NAT64:
            wrapped = IPv4Address(int(place) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return place.is_global and not place.is_multicast


def _connection(address: Address, places: list[str]) -> HTTPConnection:
    """Connect to the first of the IP addresses that answers; the certificate is to be of the host's name."""
    plain = _connect(places, address.port)
    if address.scheme == "http":
        connection = HTTPConnection(address.host, address.port, timeout=SILENCE_S)
        connection.sock = plain
        return connection
    context = ssl.create_default_context()
    secure = HTTPSConnection(address.host, address.port, timeout=SILENCE_S, context=context)
    try:
        secure.sock = context.wrap_socket(plain, server_hostname=address.host)
    except OSError:
        plain.close()
        raise
    return secure


def _connect(places: list[str], port: int) -> socket.socket:
    for place in places[:-1]:
        try:
            return socket.create_connection((place, port), SILENCE_S)
        except OSError:
            continue
    try:
        return socket.create_connection((places[-1], port), SILENCE_S)
    except OSError as error:
        raise _unreadable("nobody answers there") from error


def _checked_size(response: HTTPResponse, max_mib: float) -> int:
    """Return how many bytes are going to come, 0 if that is not told."""
    if 300 <= response.status < 400:
        raise Problem(FORBIDDEN_SOURCE, "This address sends on to another one, which is not followed.")
    if response.status != 200:
        raise _unreadable(f"it answers with status {response.status}")
    total = response.length or 0
    if total > max_mib * MIB:
        raise _too_large(max_mib)
    return total


def _chunks(response: HTTPResponse, total: int, max_mib: float) -> Iterator[bytes]:
    came, until = 0, time.monotonic() + WHOLE_S
    while chunk := _read(response):
        came += len(chunk)
        if came > max_mib * MIB:
            raise _too_large(max_mib)
        if time.monotonic() > until:
            raise _unreadable("it took too long")
        yield chunk
    if came < total:
        raise _unreadable("it ended too early")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:  # Here, where it cannot be taken for a fault of the disk.
        raise _broken() from error


def _write(path: Path, chunks: Iterator[bytes], progress: Progress) -> None:
    with whole_file(path, overwrite=True) as partial:
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                progress.advance(len(chunk))


def _too_large(max_mib: float) -> Problem:
    return Problem(TOO_LARGE, f"The raster at this address has more than {max_mib:g} MiB.")


def _broken() -> Problem:
    return _unreadable("the connection failed, or is not safe")


def _unreadable(why: str) -> Problem:
    return Problem(BAD_PARAMETER, f"The raster cannot be read from this address: {why}.")
