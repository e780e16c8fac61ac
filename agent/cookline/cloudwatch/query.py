"""The query protocol: forms in (`MetricData.member.1.Dimensions.member.1.Name=..`), XML out."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from cookline.cloudwatch import faults

# 1000 datums with 30 dimensions are 65,000 fields.
_MAX_FIELDS = 200_000
# What XML 1.0 cannot carry, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; the first of each name counts."""
    try:
        text = body.decode()
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise faults.malformed("The body is not a form") from None
    return dict(reversed(pairs))


def plain(shape: Any, fields: dict[str, str]) -> Any:
    """The fields as nested dicts and lists along `shape`; scalars stay text, unknown fields are left out."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        node = tree
        parts = name.split(".", _MAX_PARTS)
        for part in parts[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise faults.malformed(f"{name} is both a value and a structure")
            node = child
        if isinstance(node.get(parts[-1]), dict):
            raise faults.malformed(f"{name} is both a value and a structure")
        node[parts[-1]] = value
    return _plain(shape, tree)


# Deeper than any input of the model: MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name.
_MAX_PARTS = 16


def _plain(shape: Any, node: Any) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(node, dict):
            return node
        return {name: _plain(member, node[name]) for name, member in shape.members.items() if name in node}
    if kind == "list":
        if node == "":
            return []
        return [_plain(shape.member, each) for each in _numbered(node, "member")]
    if kind == "map":
        entries = [each for each in _numbered(node, "entry") if isinstance(each, dict)]
        return {str(each.get("key", "")): _plain(shape.value, each.get("value")) for each in entries}
    return node


def _numbered(node: Any, word: str) -> list[Any]:
    """The values of {"member": {"1": .., "2": ..}} in the order of their numbers."""
    members = node.get(word) if isinstance(node, dict) else None
    if not isinstance(members, dict) or not all(re.fullmatch("[0-9]{1,9}", each) for each in members):
        raise faults.malformed("a list whose members are not numbered")
    return [members[each] for each in sorted(members, key=int)]


def answer(operation: str, shape: Any, result: dict[str, Any], xmlns: str, request_id: str) -> bytes:
    """The XML of a result; `shape` is None for operations that answer nothing."""
    inner = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation}Result")
        inner = f"<{wrapper}>{_element(shape, result)}</{wrapper}>"
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'<{operation}Response xmlns="{xmlns}">{inner}{metadata}</{operation}Response>\n'.encode()


def refusal(fault: faults.Fault, xmlns: str, request_id: str) -> bytes:
    kind = "Sender" if fault.sender else "Receiver"
    error = f"<Error><Type>{kind}</Type><Code>{fault.code}</Code><Message>{_text(fault.message)}</Message></Error>"
    return f'<ErrorResponse xmlns="{xmlns}">{error}<RequestId>{request_id}</RequestId></ErrorResponse>\n'.encode()


def _element(shape: Any, value: Any) -> str:
    """The content of an element."""
    kind = shape.type_name
    if kind == "structure":
        members = shape.members
        return "".join(f"<{name}>{_element(members[name], each)}</{name}>" for name, each in value.items() if each is not None)
    if kind == "list":
        return "".join(f"<member>{_element(shape.member, each)}</member>" for each in value)
    if kind == "map":
        entries = (f"<key>{_text(key)}</key><value>{_element(shape.value, each)}</value>" for key, each in value.items())
        return "".join(f"<entry>{each}</entry>" for each in entries)
    if kind == "timestamp":
        moment = datetime.datetime.fromtimestamp(value, datetime.UTC)
        return moment.isoformat(timespec="seconds" if value == int(value) else "milliseconds").replace("+00:00", "Z")
    if kind == "boolean":
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return _text(str(value))


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("?", value))
