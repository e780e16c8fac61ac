"""AWS Signature Version 4, checked as CloudWatch checks it.

A signature covers the method, the path, the query, the headers that it names and the raw (still compressed) body, and is good
for 15 minutes around the server's clock. Host and every `x-amz-` header of the request must be among the signed ones.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from cookline.cloudwatch import faults

SKEW = 15 * 60
SERVICE = "monitoring"

_HEADER = re.compile(r"AWS4-HMAC-SHA256 +(.*)", re.DOTALL)


@dataclass(frozen=True)
class Credential:
    """What a key may do.

    actions     operation names, None for every one
    dimensions  what the holder may put data about: {"InstanceId": {"i-1"}, "LayerId": {..}, "StackId": {..}}, None for
                anything. Each datum then carries at least one of these dimensions, and only values that are listed.
    """

    access_key: str
    secret_key: str = field(repr=False)
    actions: frozenset[str] | None = None
    dimensions: Mapping[str, frozenset[str]] | None = None


# Finds a credential by its access key; the `get` of a dict is one.
Credentials = Callable[[str], Credential | None]


@dataclass(frozen=True)
class Request:
    """A request as it came in: `path` still encoded, `query` without "?", header names in lower case, the body as sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class _Authorization:
    access_key: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def verify(request: Request, credentials: Credentials, now: float, service: str | None = SERVICE) -> Credential:
    """The credential that signed `request`, or the Fault that AWS would answer."""
    given = request.headers.get("authorization")
    if not given:
        raise faults.missing_token()
    authorization = _parse(given)
    stamp = _stamp(request.headers)
    _check_signed_headers(authorization, request.headers)
    credential = credentials(authorization.access_key)
    if credential is None:
        raise faults.unknown_key()
    if service is not None and authorization.service != service:
        raise faults.bad_signature(f"Credential should be scoped to correct service: '{service}'.")
    if authorization.day != stamp[:8]:
        raise faults.bad_signature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
    _check_clock(stamp, now)
    text = _string_to_sign(authorization, stamp, _canonical(authorization, request))
    key = _signing_key(credential.secret_key, authorization.day, authorization.region, authorization.service)
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise faults.bad_signature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        )
    return credential


def _parse(given: str) -> _Authorization:
    matched = _HEADER.fullmatch(given.strip())
    if matched is None:
        raise faults.incomplete_signature(
            "Unsupported AWS 'algorithm' in the Authorization header; AWS4-HMAC-SHA256 is required."
        )
    fields = dict(part.strip().split("=", 1) for part in matched[1].split(",") if "=" in part)
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            raise faults.incomplete_signature(f"Authorization header requires '{name}' parameter.")
    scope = fields["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request" or not all(scope):
        raise faults.incomplete_signature(
            "Credential must have five slash-separated elements: KEY/DATE/REGION/SERVICE/aws4_request."
        )
    signed = tuple(fields["SignedHeaders"].lower().split(";"))
    return _Authorization(scope[0], scope[1], scope[2], scope[3], signed, fields["Signature"])


def _stamp(headers: Mapping[str, str]) -> str:
    stamp = headers.get("x-amz-date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp, re.ASCII):
        raise faults.incomplete_signature(
            "Authorization header requires existence of an 'X-Amz-Date' header, as YYYYMMDD'T'HHMMSS'Z'."
        )
    return stamp


def _check_signed_headers(authorization: _Authorization, headers: Mapping[str, str]) -> None:
    needed = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    absent = sorted(needed - set(authorization.signed))
    if absent:
        raise faults.bad_signature(f"'{absent[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_clock(stamp: str, now: float) -> None:
    try:
        signed_at = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise faults.incomplete_signature("The X-Amz-Date header is not a date.") from None
    if signed_at < now - SKEW:
        raise faults.bad_signature(f"Signature expired: {stamp} is now earlier than {_iso(now - SKEW)} ({_iso(now)} - 15 min.)")
    if signed_at > now + SKEW:
        raise faults.bad_signature(
            f"Signature not yet current: {stamp} is still later than {_iso(now + SKEW)} ({_iso(now)} + 15 min.)"
        )


def _iso(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def _canonical(authorization: _Authorization, request: Request) -> str:
    lines = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in authorization.signed]
    query = "&".join(
        sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parse_qsl(request.query, True))
    )
    body = hashlib.sha256(request.body).hexdigest()
    # every service but S3 encodes the path, already encoded on the wire, once more
    path = quote(request.path or "/", safe="/-_.~")
    return "\n".join([request.method, path, query, *lines, "", ";".join(authorization.signed), body])


def _string_to_sign(authorization: _Authorization, stamp: str, canonical: str) -> str:
    hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"AWS4-HMAC-SHA256\n{stamp}\n{authorization.scope}\n{hashed}"


@lru_cache(maxsize=4096)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
