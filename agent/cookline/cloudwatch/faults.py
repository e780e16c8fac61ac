"""What the sink refuses, in CloudWatch's own words: one class, and a maker for each case.

Each fault has two names (query protocol's code; JSON's and CBOR's `__type`) and two statuses. A client of the newer protocols
that sends `x-amzn-query-mode: true` still sees the query code and status: programs survive the change of protocol.
"""

from __future__ import annotations

from cookline.errors import CooklineError


class Fault(CooklineError):
    """An answer other than 200.

    code      the query protocol's error code
    kind      `__type` of JSON and CBOR
    status    HTTP status for query, and for the others in query mode
    modern    HTTP status for JSON and CBOR otherwise
    """

    def __init__(self, code: str, kind: str, message: str, *, status: int = 400, modern: int | None = None) -> None:
        super().__init__(message)
        self.code, self.kind, self.status, self.modern = code, kind, status, modern or (status if status >= 500 else 400)

    @property
    def sender(self) -> bool:
        """True when the client is to blame."""
        return self.status < 500


def missing_token() -> Fault:
    message = "Missing Authentication Token"
    return Fault("MissingAuthenticationToken", "MissingAuthenticationTokenException", message, status=403, modern=403)


def unknown_key() -> Fault:
    message = "The security token included in the request is invalid."
    return Fault("InvalidClientTokenId", "UnrecognizedClientException", message, status=403)


def bad_signature(message: str) -> Fault:
    return Fault("SignatureDoesNotMatch", "InvalidSignatureException", message, status=403)


def incomplete_signature(message: str) -> Fault:
    return Fault("IncompleteSignature", "IncompleteSignatureException", message)


def denied(message: str) -> Fault:
    return Fault("AccessDenied", "AccessDeniedException", message, status=403)


def unknown_operation(name: str, version: str = "2010-08-01") -> Fault:
    message = f"Could not find operation {name} for version {version}"
    return Fault("InvalidAction", "UnknownOperationException", message, modern=404)


def malformed(message: str) -> Fault:
    """The body cannot be read, or holds a value of the wrong type."""
    return Fault("MalformedInput", "SerializationException", message)


def too_large(limit: int) -> Fault:
    message = f"Request size exceeds the limit of {limit} bytes"
    return Fault("RequestEntityTooLarge", "RequestEntityTooLargeException", message, status=413, modern=413)


def missing(parameter: str) -> Fault:
    return Fault("MissingParameter", "MissingRequiredParameterException", f"The parameter {parameter} is required.")


def constraint(value: object, parameter: str, text: str) -> Fault:
    """`value` breaks the model's enum, length, range or pattern."""
    message = f"1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: {text}"
    return Fault("ValidationError", "com.amazon.coral.validate#ValidationException", message)


def refused(message: str) -> Fault:
    """A ValidationError in words of the operation's own."""
    return Fault("ValidationError", "com.amazon.coral.validate#ValidationException", message)


def combination(message: str) -> Fault:
    return Fault("InvalidParameterCombination", "InvalidParameterCombinationException", message)


def exclusive(one: str, other: str) -> Fault:
    return combination(f"The parameters {one} and {other} are mutually exclusive and you have specified both.")


def invalid(message: str) -> Fault:
    return Fault("InvalidParameterValue", "InvalidParameterValueException", message)


def bad_token() -> Fault:
    return Fault("InvalidNextToken", "InvalidNextToken", "The next token is invalid.")


def internal() -> Fault:
    """Our own mistake: the text says nothing about the inside."""
    return Fault("InternalFailure", "InternalServiceFault", "The request processing has failed.", status=500)
