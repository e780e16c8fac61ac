"""The JSON schema of a stack definition, for editors (YAML language servers take it by a comment in the first line)."""

from __future__ import annotations

from typing import Any


def stack_schema() -> dict[str, Any]:
    """JSON schema, draft 2020-12. `!secret` is allowed wherever text is; editors need it among their custom tags."""
    from cookline.control.stack.models import Stack

    schema = Stack.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cookline stack",
        **{key: value for key, value in _nullable(schema).items() if key != "title"},
    }


def _nullable(schema: Any) -> Any:
    """Every optional property may be left empty (`layers:` and nothing behind it), which means its default."""
    if isinstance(schema, list):
        return [_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(value) for key, value in schema.items()}
    properties = plain.get("properties")
    if isinstance(properties, dict):
        required = plain.get("required", [])
        plain["properties"] = {
            name: each if name in required or not _typed(each) else {"anyOf": [each, {"type": "null"}]}
            for name, each in properties.items()
        }
    return plain


def _typed(schema: dict[str, Any]) -> bool:
    return ("type" in schema or "$ref" in schema) and schema.get("type") != "null"
