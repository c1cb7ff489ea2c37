"""Download a raster from an allowed URL, without following it into private networks."""

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
        OSError: The host is unknown.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(ip[0]) for *_, ip in found))


def fetch(
    address: SourceUrl, folder: Path, *, max_mib: float, progress: Progress, resolve: Resolve = resolve_host
) -> Path:
    """Download a raster into a folder, as ``input`` with the suffix of its format, completely or not at all.

    The host name is resolved once, and the connection uses the IP address that was checked. A later change of the DNS
    entry (DNS rebinding) therefore has no effect. Redirects are not followed, and no proxy is used.

    Args:
        address: Allowed URL of the raster.
        folder: Folder to write to.
        max_mib: Largest size in MiB.
        progress: Progress in bytes; its exceptions stop the download.
        resolve: Returns the IP addresses of a host.

    Raises:
        Problem: The host is private or cannot be reached, its response has another status, or the raster is too large.
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
    # The format is checked later; here any known suffix is enough.
    return partial.replace(folder / f"input.{sniff_file(partial) or 'tif'}")


def _resolve_public(address: SourceUrl, resolve: Resolve) -> list[str]:
    """Resolve the host, and reject it if one of its IP addresses is not public."""
    try:
        ips = resolve(address.host, address.port)
    except (OSError, UnicodeError) as error:
        raise _unreadable("its host is unknown") from error
    if not ips or not (address.is_explicit_host or all(map(is_public, ips))):
        raise Problem(
            FORBIDDEN_SOURCE, "This address is in a private network, which the service may not read."
        )
    return ips


def is_public(text: str) -> bool:
    """Return whether an IP address is public; an embedded IPv4 address is checked too."""
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            wrapped = IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


def _connection(address: SourceUrl, ips: list[str]) -> HTTPConnection:
    """Connect to the first IP address that responds, and verify the certificate of the host name."""
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
        raise _unreadable("its host does not respond") from error


def _check_size(response: HTTPResponse, max_mib: float) -> int:
    """Check the response, and return its size in bytes; 0 if it is unknown."""
    if 300 <= response.status < 400:
        raise Problem(
            FORBIDDEN_SOURCE, "This address redirects to another one, and redirects are not followed."
        )
    if response.status != 200:
        raise _unreadable(f"its host responded with status {response.status}")
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
            raise _unreadable("the download took too long")
        yield chunk
    if received < total:
        raise _unreadable("the download ended too early")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:  # Caught here, apart from errors of the disk.
        raise _connection_failed() from error


def _write(path: Path, chunks: Iterator[bytes], progress: Progress) -> None:
    with whole_file(path, overwrite=True) as partial:
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                progress.advance(len(chunk))


def _too_large(max_mib: float) -> Problem:
    return Problem(TOO_LARGE, f"The raster at this address is larger than {max_mib:g} MiB.")


def _connection_failed() -> Problem:
    return _unreadable("the connection failed or is not secure")


def _unreadable(why: str) -> Problem:
    return Problem(BAD_PARAMETER, f"The raster cannot be read from this address: {why}.")
