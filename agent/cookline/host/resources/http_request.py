"""HttpRequest: one request over HTTP, as a hook or a health check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import System

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

    from cookline.host.overlay import Overlay

TIMEOUT = 30.0
# As many as browsers follow in a second; more are a loop.
MAX_REDIRECTS = 5
# Of an answer, for `expect` and for what an error shows.
MAX_ANSWER_BYTES = 1 << 20
REDIRECTS = (301, 302, 303, 307, 308)


class HttpRequest(Resource):
    """Send a request each time that it is not guarded away, and fail unless the answer is as expected. It goes to the address
    itself: no proxy, no link-local address, and redirects only to the same host.

    url         http:// or https://, without a password in it
    method      GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS
    headers     names and values
    body        text, or a mapping or list that is sent as JSON
    status      statuses that are good
    expect      text that must be in the answer
    ca_file     certificates to trust instead of the host's

    With `retries` it waits for a service to answer.

    >>> HttpRequest("http://127.0.0.1:8080/health", expect="ok", retries=5).desired()
    {'executed': True}
    """

    url: str
    method: str = field(default="GET", kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    body: Any = field(default=None, kw_only=True, repr=False)
    status: Union[int, Sequence[int]] = field(default=(200, 201, 202, 204), kw_only=True)
    expect: Optional[str] = field(default=None, kw_only=True)
    ca_file: Optional[str] = field(default=None, kw_only=True)

    has_state = False

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not re.fullmatch(r"https?://[^/@?\s\0]+([/?][^\s\0]*)?", self.url):
            raise ResourceUsageError(f"HttpRequest needs a URL as 'https://host/path' without a password, not {self.url!r}")
        if self.method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            raise ResourceUsageError(f"HttpRequest[{self.url}] has method {self.method!r}; write it in capitals")
        if any(re.search(r"[\r\n]", f"{name}{value}") for name, value in self.headers.items()):
            raise ResourceUsageError(f"HttpRequest[{self.url}] has a line's end in a header")
        self._set(status=(self.status,) if isinstance(self.status, int) else tuple(self.status))

    def current(self, host: System) -> State:
        return {"executed": False}

    def desired(self) -> State:
        return {"executed": True}

    def apply(self, host: System, changes: Changes) -> None:
        with host.change("ask", self.url):
            status, answer = self._ask()
        if status not in tuple(self.status):  # type: ignore[arg-type]
            wanted = " or ".join(str(each) for each in self.status)  # type: ignore[union-attr]
            raise ResourceError(f"{self.url} answered {status}, not {wanted}:\n{answer[:1000]}")
        if self.expect is not None and self.expect not in answer:
            raise ResourceError(f"{self.url} answered {status}, but without {self.expect!r}:\n{answer[:1000]}")

    def predict(self, host: Overlay, changes: Changes) -> None:
        """What is asked of a server changes nothing that a resource of this host looks at."""

    def _ask(self) -> Tuple[int, str]:
        """Status and text of the last answer. Raises ResourceError when there is none."""
        from http.client import HTTPException
        from urllib.parse import urljoin, urlsplit

        url, method = self.url, self.method
        for _ in range(MAX_REDIRECTS + 1):
            try:
                status, location, answer = self._send(url, method)
            except (OSError, HTTPException) as error:
                raise ResourceError(f"{url} does not answer: {error or type(error).__name__}") from None
            if status not in REDIRECTS or not location or status in tuple(self.status):  # type: ignore[arg-type]
                return status, answer
            target = urljoin(url, location)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                raise ResourceError(f"{url} redirects to {target}, another host or scheme; it is not followed")
            url, method = target, "GET" if status == 303 else method
        raise ResourceError(f"{self.url} redirects more than {MAX_REDIRECTS} times")

    def _send(self, url: str, method: str) -> Tuple[int, Optional[str], str]:
        from urllib.parse import urlsplit

        parts = urlsplit(url)
        headers = {"User-Agent": "cookline", **self.headers}
        content = self._content(headers) if method not in ("GET", "HEAD") or self.body is not None else None
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.connect()
            refuse_link_local(connection.sock.getpeername()[0], url)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, body=content, headers=headers)
            answer: HTTPResponse = connection.getresponse()
            return answer.status, answer.getheader("Location"), answer.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")
        finally:
            connection.close()

    def _content(self, headers: "dict[str, str]") -> Optional[bytes]:
        if self.body is None or isinstance(self.body, (str, bytes)):
            return self.body.encode() if isinstance(self.body, str) else self.body
        import json

        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        return json.dumps(self.body).encode()

    def _connection(self, scheme: str, hostname: str, port: Optional[int]) -> HTTPConnection:
        from http import client

        timeout = self.timeout or TIMEOUT
        if scheme == "http":
            return client.HTTPConnection(hostname, port, timeout=timeout)
        import ssl

        return client.HTTPSConnection(hostname, port, timeout=timeout, context=ssl.create_default_context(cafile=self.ca_file))


def refuse_link_local(address: str, url: str) -> None:
    """A cloud's metadata service hands out the machine's own credentials at such an address. Raises ResourceError."""
    import ipaddress

    if ipaddress.ip_address(address.partition("%")[0]).is_link_local:
        raise ResourceError(f"{url} leads to the link-local address {address}; nothing is sent there")
