"""Models of a stored revision without pydantic, which takes 0.1 s to import: their data was checked when it was pushed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from cookline.control.stack.secrets import from_plain

# model -> its fields that are models themselves, or mappings of names to models
PARTS: dict[str, dict[str, str]] = {"Stack": {"metrics": "Metrics"}, "Layer": {"recipes": "Recipes", "drift": "Drift"}}
PARTS |= {"Instance": {"schedule": "Schedule"}, "Scaling": {"up": "Thresholds", "down": "Thresholds"}}
PARTS["Layer"] |= {"scaling": "Scaling", "drain": "Drain"}
PARTS["App"] = {"source": "Source"}
MAPPINGS: dict[str, dict[str, str]] = {"Stack": {"layers": "Layer", "instances": "Instance", "apps": "App"}}


class Recalled:
    """Has the fields of the model that was written. What else is asked of it (a field that is newer than the revision, a
    method) the model itself answers, made for that."""

    def __init__(self, module: str, kind: str, data: Mapping[str, Any]) -> None:
        values = {name: _field(module, kind, name, value) for name, value in data.items()}
        given = frozenset(name for name, value in data.items() if value is not None or kind == "AttributeType")
        self.__dict__.update(values, _origin=(module, kind, data), model_fields_set=given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_origin" not in self.__dict__:
            raise AttributeError(name)
        module, kind, data = self._origin
        model = getattr(importlib.import_module(module), kind)
        return getattr(model.model_validate(from_plain(data)), name)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((name, self.__dict__[name]) for name in self._origin[2])


def _field(module: str, kind: str, name: str, value: Any) -> Any:
    part, mapped = PARTS.get(kind, {}).get(name), MAPPINGS.get(kind, {}).get(name)
    if part is not None and value is not None:
        return Recalled(module, part, value)
    if mapped is not None:
        return {key: Recalled(module, mapped, item) for key, item in value.items()}
    value = from_plain(value)
    # lists of a model's own are tuples; those inside of attributes stay lists
    return tuple(value) if isinstance(value, list) and name not in ("default", "attributes", "settings") else value


def stack(data: Mapping[str, Any]) -> Any:
    """Answers as models.Stack does."""
    found = Recalled("cookline.control.stack.models", "Stack", data)
    found.__dict__["name"] = found.stack
    return found


def attribute_type(data: Mapping[str, Any]) -> Any:
    """Answers as metadata.AttributeType does."""
    return Recalled("cookline.control.stack.metadata", "AttributeType", data)
