"""Requests over HTTP and HTTPS that a host makes for a resource: redirects by our own rules, no proxy of the environment.

urllib.request reads proxy variables, follows a redirect from https to http and hands headers with a token on to another server.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Optional, Tuple
from urllib.parse import SplitResult, urljoin, urlsplit

from cookline.errors import ResourceError

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

# Downloads of the large forges pass two.
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# Seconds without a byte.
SILENCE = 30.0


class FetchError(ResourceError):
    """A server that cannot be reached, or answers something else than was asked for; names the address without its query."""


class Proxy:
    """http://HOST:PORT that requests go through, when the recipe names one."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise ResourceError(f"a proxy is written as http://HOST:PORT, not {address!r}")
        self.host, self.port = parts.hostname, parts.port or 3128


@contextlib.contextmanager
def get(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout: Optional[float] = None,
    ca: Optional[str] = None,
    proxy: Optional[Proxy] = None,
) -> Iterator[HTTPResponse]:
    """The answer of a GET with status 200, 206, 304 or 416, its body not yet read. Raises FetchError for all else."""
    import http.client

    sent = dict(headers)
    connection = None
    try:
        for _ in range(MAX_REDIRECTS + 1):
            connection, answer = _ask(urlsplit(url), sent, timeout or SILENCE, ca, proxy)
            target = answer.getheader("Location")
            if answer.status not in REDIRECTS or not target:
                break
            connection.close()
            url, sent = _redirected(url, target, sent)
        else:
            raise FetchError(f"{shown(url)} was redirected more than {MAX_REDIRECTS} times")
        if answer.status not in (200, 206, 304, 416):
            raise FetchError(f"{shown(url)} answered {answer.status} {answer.reason}")
        yield answer
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise  # this host's own trouble
        raise FetchError(f"{shown(url)} cannot be fetched: {error or type(error).__name__}") from None
    finally:
        if connection is not None:
            connection.close()


def _ask(
    parts: SplitResult, headers: Mapping[str, str], timeout: float, ca: Optional[str], proxy: Optional[Proxy]
) -> Tuple[HTTPConnection, HTTPResponse]:
    import http.client

    host, path = parts.hostname or "", parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = (proxy.host, proxy.port) if proxy else (host, port)
    connection: HTTPConnection
    if parts.scheme == "https":
        import ssl

        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(*where, timeout=timeout, context=context)
        if proxy:
            connection.set_tunnel(host, port)
    else:
        connection = http.client.HTTPConnection(*where, timeout=timeout)
        path = parts._replace(fragment="").geturl() if proxy else path
    standard = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity", "User-Agent": "cookline"}
    connection.request("GET", path, headers={**standard, **headers})
    return connection, connection.getresponse()


def _redirected(url: str, target: str, headers: Dict[str, str]) -> Tuple[str, Dict[str, str]]:
    """Where to ask next, and with what: another server does not see headers that were meant for this one."""
    new = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(new)
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise FetchError(f"{shown(url)} redirects to {shown(new)}, which is not followed")
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return new, headers
    kept = ("range", "if-range", "if-none-match", "if-modified-since")
    return new, {name: value for name, value in headers.items() if name.lower() in kept}


def shown(url: str) -> str:
    """The address as reports have it: without query, which holds the signature of signed ones."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
