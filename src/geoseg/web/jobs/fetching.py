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
from geoseg.web.jobs.sources import SourceUrl
from geoseg.workflows.service_files import remove_leftovers, sniff_file, whole_file

READ_TIMEOUT_S = 30.0
DOWNLOAD_TIMEOUT_S = 3600.0
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
    return list(dict.fromkeys(str(ip[0]) for *_, ip in found))


def fetch(
    address: SourceUrl, folder: Path, *, max_mib: float, progress: Progress, resolve: Resolve = resolve_host
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
    ips = _resolve_public(address, resolve)
    partial = folder / "input.part"
    remove_leftovers(partial)
    try:
        with closing(_connection(address, ips)) as connection:
            connection.request("GET", address.target, headers={"User-Agent": "geoseg", "Accept": "*/*"})
            with closing(connection.getresponse()) as response:
                total = _check_size(response, max_mib)
                progress.start("Fetching", total)
                _write(partial, _chunks(response, total, max_mib), progress)
    except (OSError, HTTPException) as error:
        raise _connection_failed() from error
    # What it is will be checked; a name of a known kind is enough here.
    return partial.replace(folder / f"input.{sniff_file(partial) or 'tif'}")


def _resolve_public(address: SourceUrl, resolve: Resolve) -> list[str]:
    """Look the host up, and refuse it if one of its addresses is not public."""
    try:
        ips = resolve(address.host, address.port)
    except (OSError, UnicodeError) as error:
        raise _unreadable("its host is not known") from error
    if not ips or not (address.is_explicit_host or all(map(is_public, ips))):
        raise Problem(FORBIDDEN_SOURCE, "This address leads to a network that may not be read from.")
    return ips


def is_public(text: str) -> bool:
    """Say whether an IP address is one of the internet, also where it wraps another one."""
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            wrapped = IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


def _connection(address: SourceUrl, ips: list[str]) -> HTTPConnection:
    """Connect to the first of the IP addresses that answers; the certificate is to be of the host's name."""
    plain = _connect(ips, address.port)
    if address.scheme == "http":
        connection = HTTPConnection(address.host, address.port, timeout=READ_TIMEOUT_S)
        connection.sock = plain
        return connection
    context = ssl.create_default_context()
    secure = HTTPSConnection(address.host, address.port, timeout=READ_TIMEOUT_S, context=context)
    try:
        secure.sock = context.wrap_socket(plain, server_hostname=address.host)
    except OSError:
        plain.close()
        raise
    return secure


def _connect(ips: list[str], port: int) -> socket.socket:
    for ip in ips[:-1]:
        try:
            return socket.create_connection((ip, port), READ_TIMEOUT_S)
        except OSError:
            continue
    try:
        return socket.create_connection((ips[-1], port), READ_TIMEOUT_S)
    except OSError as error:
        raise _unreadable("nobody answers there") from error


def _check_size(response: HTTPResponse, max_mib: float) -> int:
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
    received, deadline = 0, time.monotonic() + DOWNLOAD_TIMEOUT_S
    while chunk := _read(response):
        received += len(chunk)
        if received > max_mib * MIB:
            raise _too_large(max_mib)
        if time.monotonic() > deadline:
            raise _unreadable("it took too long")
        yield chunk
    if received < total:
        raise _unreadable("it ended too early")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:  # Here, where it cannot be taken for a fault of the disk.
        raise _connection_failed() from error


def _write(path: Path, chunks: Iterator[bytes], progress: Progress) -> None:
    with whole_file(path, overwrite=True) as partial:
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                progress.advance(len(chunk))


def _too_large(max_mib: float) -> Problem:
    return Problem(TOO_LARGE, f"The raster at this address has more than {max_mib:g} MiB.")


def _connection_failed() -> Problem:
    return _unreadable("the connection failed, or is not safe")


def _unreadable(why: str) -> Problem:
    return Problem(BAD_PARAMETER, f"The raster cannot be read from this address: {why}.")
