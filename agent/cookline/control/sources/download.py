"""One file over HTTP(S), for a definition that names its URL: bounded in size and time, straight to a checked address.

No proxy variables, no cookies, no other schemes. Addresses are looked up once, checked, and then connected to, so that a name
cannot mean another machine a moment later. Link-local addresses (a cloud's metadata service) are refused always; a redirect
from the outside to this machine or its private networks is refused as well.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import time
from urllib.parse import SplitResult, urljoin, urlsplit

from cookline.control.stack.artifact import LARGEST_SOURCE
from cookline.errors import SourceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# GitHub needs two (archive, storage), mirrors one more.
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# A server that sends nothing for so long has gone; the whole may take as long as 256 MB at 0.5 MB/s.
SILENCE_SECONDS = 30.0
WHOLE_SECONDS = 600.0
CHUNK = 1 << 18
# EC2's metadata service over IPv6 is not link-local by its number.
METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254")})


def fetch(url: str, *, user: str | None = None, password: str | None = None, limit: int = LARGEST_SOURCE) -> bytes:
    """The bytes behind `url`. Credentials go to its own host alone, not to where that redirects. Raises SourceError."""
    start = here = _parsed(url)
    deadline = time.monotonic() + WHOLE_SECONDS
    inside: bool | None = None
    for _ in range(MOST_REDIRECTS + 1):
        address = _address(here, inside)
        if inside is None:
            inside = _is_inside(address)
        same = (here.scheme, here.netloc) == (start.scheme, start.netloc)
        answer = _asked(here, address, _authorization(user, password) if same else {}, limit, deadline)
        if isinstance(answer, bytes):
            return answer
        there = _parsed(urljoin(here.geturl(), answer))
        if (here.scheme, there.scheme) == ("https", "http"):
            raise SourceError(f"{url} redirects from https to {there.geturl()}, where anybody could answer")
        here = there
    raise SourceError(f"{url} redirects more than {MOST_REDIRECTS} times")


def _parsed(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or port == 0:
        raise SourceError(f"{url[:200]!r} is no address of http or https")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SourceError(f"{url[:200]!r} holds a character that must be escaped in a URL")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _address(parts: SplitResult, inside: bool | None) -> Address:
    """The first address of the host. `inside`: the first host of the chain was on a private network or this machine."""
    assert parts.hostname is not None
    try:
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceError(f"{parts.hostname} has no address: {error}") from None
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    for address in addresses:
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain in METADATA:
            raise SourceError(f"{parts.hostname} is {plain}, an address that no source is fetched from")
        if inside is False and _is_inside(plain):
            raise SourceError(f"a redirect leads to {parts.hostname}, which is {plain}: inside, from outside")
    return addresses[0]


def _is_inside(address: Address) -> bool:
    return address.is_private or address.is_loopback


def _authorization(user: str | None, password: str | None) -> dict[str, str]:
    if user is None and password is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()}


def _asked(parts: SplitResult, address: Address, extra: dict[str, str], limit: int, deadline: float) -> bytes | str:
    """The content, or where a redirect leads."""
    place = f"{parts.scheme}://{parts.netloc}"
    try:
        connection = _connected(parts, address)
        try:
            path = parts.path or "/"
            headers = {"Host": parts.netloc, "User-Agent": "cookline", "Accept": "*/*", "Accept-Encoding": "identity"}
            connection.request("GET", f"{path}?{parts.query}" if parts.query else path, headers={**headers, **extra})
            with connection.getresponse() as response:
                return _answer(response, parts.geturl(), limit, deadline)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{place} cannot be read: {str(error) or type(error).__name__}") from None


def _answer(response: http.client.HTTPResponse, url: str, limit: int, deadline: float) -> bytes | str:
    if response.status in REDIRECTS and response.getheader("Location"):
        return str(response.getheader("Location"))
    if response.status != 200:
        raise SourceError(f"{url} answers {response.status} {response.reason[:100]}", hint=_hint(response.status))
    return _read(response, url, limit, deadline)


def _hint(status: int) -> str | None:
    return "give `user` and `password` (a !secret)" if status in (401, 403) else None


def _connected(parts: SplitResult, address: Address) -> http.client.HTTPConnection:
    """A connection to this very address; the certificate is checked for the host's name."""
    connection = http.client.HTTPConnection(str(parts.hostname), _port(parts), timeout=SILENCE_SECONDS)
    plain = socket.create_connection((str(address), _port(parts)), timeout=SILENCE_SECONDS)
    if parts.scheme == "https":
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        except OSError:
            plain.close()
            raise
    else:
        connection.sock = plain
    return connection


def _read(response: http.client.HTTPResponse, url: str, limit: int, deadline: float) -> bytes:
    too_large = SourceError(f"{url} has more than {limit // 1024**2} MB")
    if (response.length or 0) > limit:
        raise too_large
    chunks, size = [], 0
    while chunk := response.read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise too_large
        if time.monotonic() > deadline:
            raise SourceError(f"{url} took longer than {WHOLE_SECONDS:.0f} s")
    if response.length:
        raise SourceError(f"{url} ended {response.length} bytes before its end", hint="push again")
    return b"".join(chunks)
