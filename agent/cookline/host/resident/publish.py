"""Puts metrics to a CloudWatch endpoint (AWS's, ours or a look-alike) with the standard library alone.

A signer and a client in one page keep the agent small: importing this loads neither `ssl` nor `http.client`; both come with
the first put, and `ssl` for https only. One connection is kept open. Bodies go as JSON 1.0, compressed when that pays, or as
forms for servers from before 2026 (`protocol="query"`).
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, urlencode, urlsplit

from cookline.errors import CooklineError

if TYPE_CHECKING:
    import http.client

MAX_DATUMS = 1000
# CloudWatch takes a megabyte; what a datum adds is counted before compression, so that no answer is ever "too large".
MAX_BODY = 1000 * 1000
# Below this gzip saves no packet; the same threshold that AWS's own clients have.
COMPRESS_FROM = 10240
# Errors that come and go by themselves, whatever their status.
RETRYABLE = frozenset({"Throttling", "ThrottlingException", "ServiceUnavailable", "RequestTimeout", "RequestLimitExceeded"})
# What servers call a signature whose date is off.
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch"})
# Clocks that differ by less are not the reason for a refused signature.
SKEW_FLOOR = 60.0


class PublishError(CooklineError):
    """A put that was not taken.

    retryable  True when the same datums may be taken later (network, throttling, the server's fault)
    code       the server's error code, or "" when there was no answer
    sent       how many datums of the call, from its start, were taken before this
    culprit    the index of the datum of the call that the server objects to, or None when it names none
    """

    def __init__(self, message: str, *, retryable: bool, code: str = "", sent: int = 0, hint: Optional[str] = None) -> None:
        super().__init__(message, hint=hint)
        self.retryable, self.code, self.sent = retryable, code, sent
        self.culprit: Optional[int] = None


class Publisher:
    """Puts datums to `endpoint` ("https://monitoring.eu-central-1.amazonaws.com", "http://127.0.0.1:4582").

    ca_file   PEM file of the authority that signed the server's certificate; None: the system's authorities
    protocol  "json" or "query"
    timeout   seconds for connecting and for each answer
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        access_key: str,
        secret_key: str,
        session_token: Optional[str] = None,
        ca_file: Optional[str] = None,
        protocol: str = "json",
        timeout: float = 10.0,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or protocol not in ("json", "query"):
            raise PublishError(
                f"{endpoint!r} ({protocol}) is not a metrics endpoint", retryable=False, hint="http(s)://host[:port]"
            )
        self._tls, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._authority = parts.netloc.rpartition("@")[2]
        self._path = parts.path or "/"
        self._region, self._access_key, self._secret_key, self._token = region, access_key, secret_key, session_token
        self._ca_file, self._protocol, self._timeout = ca_file, protocol, timeout
        self._connection: Optional[http.client.HTTPConnection] = None
        # seconds that the server's clock is ahead of ours
        self.clock_offset = 0.0

    def put(self, namespace: str, data: Sequence[Mapping[str, Any]]) -> int:
        """Put the datums (PutMetricData's dicts, `Timestamp` in epoch seconds) in order, in as few requests as are allowed.

        Returns how many were taken: all. Raises PublishError; its `sent` says how many were taken before.
        """
        sent = 0
        for count, body in _bodies(namespace, data, self._protocol):
            try:
                self._put_body(body)
            except PublishError as error:
                error.sent = sent
                named = re.search(r"MetricData\.member\.(\d{1,4})\b", error.message)
                error.culprit = sent + int(named[1]) - 1 if named and 1 <= int(named[1]) <= count else None
                raise
            sent += count
        return sent

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put_body(self, body: bytes) -> None:
        headers = dict(_HEADERS[self._protocol])
        if len(body) >= COMPRESS_FROM:
            import gzip

            body = gzip.compress(body, compresslevel=6)
            headers["content-encoding"] = "gzip"
        for corrected in (False, True):
            status, answered, content = self._exchange(body, headers)
            if status < 300:
                return
            code, message = _error(answered, content)
            if corrected or not self._correct_clock(code, answered):
                break
        retryable = status >= 500 or status == 429 or code in RETRYABLE
        raise PublishError(
            f"{self._authority} refused the metrics: {message or code} ({status})", retryable=retryable, code=code
        )

    def _correct_clock(self, code: str, answered: Mapping[str, str]) -> bool:
        """Take over the server's clock when it may be why the signature was refused; True when that changed something."""
        theirs = _http_date(answered.get("date", ""))
        if code not in SKEWED or theirs is None:
            return False
        offset = theirs - time.time()
        if abs(offset - self.clock_offset) < SKEW_FLOOR:
            return False
        self.clock_offset = offset
        return True

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Tuple[int, Dict[str, str], bytes]:
        """One request; once more on a new connection when a kept one turns out to be closed."""
        import http.client

        for fresh in (self._connection is None, True):
            signed = self.signed_headers(body, headers, time.time() + self.clock_offset)
            try:
                connection = self._connect()
                connection.request("POST", self._path, body=body, headers=signed)
                response = connection.getresponse()
                # an answer to a put is a few hundred bytes; a hostile one ends here
                content = response.read(65536)
                answered = {name.lower(): value for name, value in reversed(response.getheaders())}
                if response.read(1) or response.will_close:
                    self.close()
                return response.status, answered, content
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # a kept connection that was closed meanwhile; after a time-out the put may have been taken
                if fresh or not isinstance(error, ConnectionError):
                    raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    def _unreachable(self, error: Exception) -> PublishError:
        hint = None
        if type(error).__name__ == "SSLCertVerificationError":
            hint = "name the authority of the server's certificate in the metrics settings (ca)"
        return PublishError(f"{self._authority} cannot be reached: {error or type(error).__name__}", retryable=True, hint=hint)

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            import http.client
            import socket

            if self._tls:
                import ssl

                context = ssl.create_default_context(cafile=self._ca_file)
                self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection

    def signed_headers(self, body: bytes, headers: Mapping[str, str], at: float) -> Dict[str, str]:
        """`headers` with Host, date, token and the Authorization of AWS Signature Version 4 for a POST at epoch second `at`."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        signing = {"host": self._authority, "x-amz-date": stamp, **headers}
        if self._token:
            signing["x-amz-security-token"] = self._token
        names = sorted(signing)
        lines = [f"{name}:{' '.join(signing[name].split())}" for name in names]
        path = quote(self._path, safe="/-_.~")
        canonical = "\n".join(["POST", path, "", *lines, "", ";".join(names), hashlib.sha256(body).hexdigest()])
        scope = f"{stamp[:8]}/{self._region}/monitoring/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + self._secret_key.encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"Credential={self._access_key}/{scope}"
        signed = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={';'.join(names)}, Signature={key.hex()}"
        return {**signing, "authorization": signed}


_HEADERS = {
    "json": {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "GraniteServiceVersion20100801.PutMetricData",
        "x-amzn-query-mode": "true",
    },
    "query": {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
}


def _bodies(namespace: str, data: Sequence[Mapping[str, Any]], protocol: str) -> Iterator[Tuple[int, bytes]]:
    """(number of datums, body) of each request."""
    waiting: List[Mapping[str, Any]] = []
    size = 0
    for datum in data:
        length = len(_body(namespace, [datum], protocol)) + 64
        if waiting and (len(waiting) == MAX_DATUMS or size + length > MAX_BODY):
            yield len(waiting), _body(namespace, waiting, protocol)
            waiting, size = [], 0
        waiting.append(datum)
        size += length
    if waiting:
        yield len(waiting), _body(namespace, waiting, protocol)


def _body(namespace: str, data: Sequence[Mapping[str, Any]], protocol: str) -> bytes:
    if protocol == "json":
        return json.dumps({"Namespace": namespace, "MetricData": list(data)}, separators=(",", ":")).encode()
    fields = [("Action", "PutMetricData"), ("Version", "2010-08-01"), ("Namespace", namespace)]
    for index, datum in enumerate(data, 1):
        fields += _fields(f"MetricData.member.{index}", datum)
    return urlencode(fields, quote_via=quote, safe="-_.~").encode()


def _fields(at: str, value: Any) -> List[Tuple[str, str]]:
    """A value of a datum as form fields: `at` names it."""
    if isinstance(value, Mapping):
        return [field for name, each in value.items() if each is not None for field in _fields(f"{at}.{name}", each)]
    if isinstance(value, (list, tuple)):
        return [field for index, each in enumerate(value, 1) for field in _fields(f"{at}.member.{index}", each)]
    if at.endswith(".Timestamp") and isinstance(value, (int, float)):
        return [(at, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value)))]
    return [(at, str(value))]


def _error(answered: Mapping[str, str], content: bytes) -> Tuple[str, str]:
    """Code and message of an error answer in either protocol; ("", beginning of the text) of anything else."""
    text = content.decode("utf-8", "replace")
    code = answered.get("x-amzn-query-error", "").partition(";")[0]
    try:
        told = json.loads(text)
        kind = str(told.get("__type", "")).rpartition("#")[2]
        return code or kind, str(told.get("message", told.get("Message", "")))[:500]
    except (ValueError, AttributeError, RecursionError):
        found = re.search(r"<Code>([^<]{1,100})</Code>(?:\s*<Message>([^<]{0,500})</Message>)?", text)
        return (found[1], found[2] or "") if found else (code, text.strip()[:200])


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _http_date(text: str) -> Optional[float]:
    """Epoch seconds of an HTTP Date ("Mon, 23 Nov 2026 15:05:08 GMT"), whatever the locale; None when it is not one."""
    found = re.match(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", text)
    if not found or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[index]) for index in (1, 3, 4, 5, 6))
    return float(calendar.timegm((year, _MONTHS.index(found[2]) + 1, day, hour, minute, second)))
