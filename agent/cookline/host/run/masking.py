"""Secrets are masked by value: in whatever form they reach a report, they leave it as MASK."""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, List, Optional, Pattern, Set

MASK = "*****FILTERED*****"  # the word that OpsWorks used (features O52)
# Shorter values would mask half of every report; the controller refuses them, and lines of a longer value are let be.
SHORTEST = 6
# Names that the protocol itself needs; a secret that equals one of them must not break the journal.
PROTOCOL_FIELDS = frozenset({"kind", "run", "seq", "attempt", "boot", "event", "outcome", "action"})


def forms(secret: str) -> Set[str]:
    """Every spelling of one secret that is masked: each line, and its base64, URL, JSON and shell forms."""
    import base64
    import shlex
    import urllib.parse

    found: Set[str] = set()
    for value in {secret, *secret.splitlines()}:
        if len(value.strip()) < SHORTEST:
            continue
        raw = value.encode()
        found |= {
            value,
            value.strip(),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            shlex.quote(value),
            urllib.parse.quote(value),
            urllib.parse.quote(value, safe=""),
            urllib.parse.quote_plus(value),
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            repr(value)[1:-1],
        }
    return found


class Masker:
    """Masks the secrets of one run in events; a run without secrets pays nothing."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings: List[str] = sorted({form for secret in secrets for form in forms(secret)}, key=len, reverse=True)
        self._pattern: Optional[Pattern[str]] = re.compile("|".join(map(re.escape, spellings))) if spellings else None

    def text(self, value: str) -> str:
        return self._pattern.sub(MASK, value) if self._pattern else value

    def event(self, event: Any) -> Any:
        """The same event with every text in it masked, names of fields included."""
        if self._pattern is None:
            return event
        return {key: value if key in PROTOCOL_FIELDS else self._deep(value) for key, value in event.items()}

    def _deep(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self._deep(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._deep(item) for item in value]
        return value
