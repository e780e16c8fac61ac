"""The wire protocols of CloudWatch: JSON 1.0, query and Smithy's rpc-v2-cbor, driven by botocore's service model.

The only module that imports botocore, and of it only the model: shapes and operation names. All three protocols read into the
same parameters and write from the same results, and each fault is told in the protocol that the client spoke.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from cookline.cloudwatch import cbor, faults, query, shapes
from cookline.cloudwatch.sigv4 import Request

# CloudWatch takes a megabyte on the wire; unpacked, a bomb ends at ten.
MAX_BODY = 1024 * 1024
MAX_UNPACKED = 10 * 1024 * 1024


@cache
def model() -> Any:
    """botocore's model of CloudWatch (read from its data, 20 ms)."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("cloudwatch", "service-2"), "cloudwatch")


@cache
def operation_model(name: str) -> Any:
    """The model of an operation, or the fault for one that CloudWatch does not have."""
    if name not in model().operation_names:
        raise faults.unknown_operation(name[:100])
    return model().operation_model(name)


class Wire:
    """One protocol. `read` gives (operation name, parameters); `answer` and `refuse` give (status, headers, body)."""

    content_type: str

    def operation(self, request: Request, body: bytes) -> str:
        """The name of the operation that is asked for."""
        raise NotImplementedError

    def read(self, name: str, body: bytes) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, name: str, result: dict[str, Any], request_id: str) -> tuple[dict[str, str], bytes]:
        raise NotImplementedError

    def refuse(self, fault: faults.Fault, request: Request, request_id: str) -> tuple[int, dict[str, str], bytes]:
        """JSON's and CBOR's way; the code of the query protocol goes along for clients that ask for it."""
        status, headers = fault.modern, {"content-type": self.content_type}
        if request.headers.get("x-amzn-query-mode") == "true":
            status = fault.status
            headers["x-amzn-query-error"] = f"{fault.code};{'Sender' if fault.sender else 'Receiver'}"
        return status, headers, self.dump({"__type": fault.kind, "message": fault.message})

    def dump(self, value: Any) -> bytes:
        raise NotImplementedError


class Json(Wire):
    def __init__(self, version: str = "1.0") -> None:
        self.content_type = f"application/x-amz-json-{version}"

    def operation(self, request: Request, body: bytes) -> str:
        prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix != model().metadata["targetPrefix"]:
            raise faults.unknown_operation(name[:100])
        return name

    def read(self, name: str, body: bytes) -> dict[str, Any]:
        shape = operation_model(name).input_shape
        try:
            value = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            raise faults.malformed("The body is not JSON") from None
        # The hot path: datums are checked by hand where they are stored (datum.py), in a tenth of the time.
        if name == "PutMetricData" and isinstance(value, dict) and "EntityMetricData" not in value:
            return value
        parameters: dict[str, Any] = shapes.read(shape, value)
        return parameters

    def answer(self, name: str, result: dict[str, Any], request_id: str) -> tuple[dict[str, str], bytes]:
        if operation_model(name).output_shape is None:
            return {"content-type": self.content_type}, b""
        return {"content-type": self.content_type}, self.dump(_json_ready(result))

    def dump(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _json_ready(value: Any) -> Any:
    """Times of whole seconds as integers, numbers that JSON cannot write as strings, absent members left out."""
    if isinstance(value, dict):
        return {key: _json_ready(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_json_ready(each) for each in value]
    if isinstance(value, cbor.Timestamp):
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


class Cbor(Wire):
    content_type = "application/cbor"
    _PATH = re.compile(r"/service/(?P<service>[^/]+)/operation/(?P<operation>[^/]+)")

    def operation(self, request: Request, body: bytes) -> str:
        matched = self._PATH.fullmatch(request.path)
        if matched is None or matched["service"] != model().metadata["targetPrefix"]:
            raise faults.unknown_operation(request.path[-100:])
        return matched["operation"]

    def read(self, name: str, body: bytes) -> dict[str, Any]:
        shape = operation_model(name).input_shape
        try:
            value = cbor.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise faults.malformed(f"The body is not CBOR: {error}") from None
        parameters: dict[str, Any] = shapes.read(shape, value)
        return parameters

    def answer(self, name: str, result: dict[str, Any], request_id: str) -> tuple[dict[str, str], bytes]:
        headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": self.content_type}
        if operation_model(name).output_shape is None:
            return headers, cbor.dumps({})
        return headers, cbor.dumps(result)

    def refuse(self, fault: faults.Fault, request: Request, request_id: str) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = super().refuse(fault, request, request_id)
        return status, {**headers, "smithy-protocol": "rpc-v2-cbor"}, body

    def dump(self, value: Any) -> bytes:
        return cbor.dumps(value)


class Query(Wire):
    content_type = "text/xml"

    def operation(self, request: Request, body: bytes) -> str:
        fields = query.parse_form(body)
        name = fields.get("Action")
        if not name:
            message = "The request must contain the parameter Action or a signed X-Amz-Target header."
            raise faults.Fault("MissingAction", "MissingActionException", message)
        if fields.get("Version") not in (None, model().metadata["apiVersion"]):
            raise faults.unknown_operation(name[:100], fields["Version"][:40])
        return name

    def read(self, name: str, body: bytes) -> dict[str, Any]:
        shape = operation_model(name).input_shape
        fields = query.parse_form(body)
        parameters: dict[str, Any] = shapes.read(shape, query.plain(shape, fields), text=True)
        return parameters

    def answer(self, name: str, result: dict[str, Any], request_id: str) -> tuple[dict[str, str], bytes]:
        shape, xmlns = operation_model(name).output_shape, model().metadata["xmlNamespace"]
        return {"content-type": self.content_type}, query.answer(name, shape, result, xmlns, request_id)

    def refuse(self, fault: faults.Fault, request: Request, request_id: str) -> tuple[int, dict[str, str], bytes]:
        body = query.refusal(fault, model().metadata["xmlNamespace"], request_id)
        return fault.status, {"content-type": self.content_type}, body


_CBOR, _QUERY, _JSON = Cbor(), Query(), {"1.0": Json("1.0"), "1.1": Json("1.1")}


def wire_of(headers: Mapping[str, str]) -> Wire:
    """The protocol that a request speaks; an unknown one is answered as a query."""
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _CBOR
    if "x-amz-target" in headers or "json" in headers.get("content-type", ""):
        return _JSON["1.1" if headers.get("content-type", "").startswith("application/x-amz-json-1.1") else "1.0"]
    return _QUERY


def unpacked(request: Request) -> bytes:
    """The body without its Content-Encoding."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return request.body
    if encoding != "gzip":
        raise faults.malformed(f"Content-Encoding {encoding[:40]!r} is not supported")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = unpacker.decompress(request.body, MAX_UNPACKED + 1)
    except zlib.error:
        raise faults.malformed("The body is not gzip") from None
    if len(body) > MAX_UNPACKED:
        raise faults.too_large(MAX_UNPACKED)
    if not unpacker.eof or unpacker.unused_data:
        raise faults.malformed("The body is not one whole gzip stream")
    return body
