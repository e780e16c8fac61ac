"""NextToken: how far the reader is, bound to the question that it belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from cookline.cloudwatch.faults import Fault


def write(reached: int, question: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([reached, _digest(question)]).encode()).decode()


def read(token: str, question: Any, refusal: Callable[[], Fault]) -> int:
    """What `write` was given; raises refusal() for a token of another question or of nobody."""
    try:
        reached, of = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise refusal() from None
    if of != _digest(question) or isinstance(reached, bool) or not isinstance(reached, int) or not 0 <= reached < 2**62:
        raise refusal()
    return reached


def _digest(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
