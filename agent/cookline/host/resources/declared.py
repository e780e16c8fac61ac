"""Kinds that are declared by their annotations, as dataclasses are.

The standard library's dataclasses cost a quiet run 12 ms: they import `inspect`, and compile code for each class.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, Iterable, List, NamedTuple, Tuple

from cookline.errors import ResourceUsageError, did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options: Any) -> Callable[[Any], Any]:
        return lambda cls: cls


MISSING: Any = object()


class Field:
    """How one field is given and shown; without `default` and `default_factory` it must be given."""

    def __init__(self, default: Any, default_factory: Any, kw_only: bool, repr: bool) -> None:
        self.default, self.default_factory, self.kw_only, self.repr = default, default_factory, kw_only, repr


def field(*, default: Any = MISSING, default_factory: Any = MISSING, kw_only: bool = False, repr: bool = True) -> Any:
    """A field of a resource; `kw_only=True` for those that must be named, `repr=False` for those that are not shown."""
    return Field(default, default_factory, kw_only, repr)


class Types(NamedTuple):
    """What a field takes, and how an error says so."""

    good: Tuple[type, ...]
    sentence: str
    optional: bool = False


# Annotations that are checked, without Optional; values of others are checked by the kind itself.
PLAIN = {
    "bool": Types((bool,), "True or False"),
    "int": Types((int,), "a whole number"),
    "float": Types((float, int), "a number"),
    "str": Types((str, os.PathLike), "a text"),
    "Owner": Types((str, int), "a name or a number", True),
    "Union[str, Sequence[str]]": Types((str, list, tuple), "a text or a list of texts"),
    "Sequence[str]": Types((str, list, tuple), "a list of texts"),
    "Mapping[str, Any]": Types((Mapping,), "a mapping"),
    "Mapping[str, str]": Types((Mapping,), "a mapping"),
}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Declared:
    """Turns every subclass into a frozen record whose constructor names mistyped fields and the nearest right ones."""

    __dataclass_fields__: ClassVar[Dict[str, Field]] = {}
    _positional: ClassVar[Tuple[str, ...]] = ()
    _types: ClassVar[Dict[str, Types]] = {}
    _defaults: ClassVar[Dict[str, Any]] = {}
    _factories: ClassVar[Dict[str, Callable[[], Any]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields: Dict[str, Field] = {}
        for base in reversed(cls.__mro__[1:]):
            fields.update(base.__dict__.get("__dataclass_fields__", {}))
        fields.update(_own_fields(cls))
        cls.__dataclass_fields__ = fields
        cls._types = {**cls._types, **_plain_types(cls)}
        cls._positional = tuple(name for name, each in fields.items() if not each.kw_only)
        cls._defaults = {name: each.default for name, each in fields.items() if each.default is not MISSING}
        cls._factories = {n: each.default_factory for n, each in fields.items() if each.default_factory is not MISSING}

    def __init__(self, *values: Any, **named: Any) -> None:
        fields, given = self.__dataclass_fields__, dict(zip(self._positional, values))
        kind = type(self).__name__
        if len(values) > len(self._positional):
            positional = ", ".join(self._positional)
            raise ResourceUsageError(f"{kind} takes at most {len(self._positional)} values by position: {positional}")
        for name in named:
            if name not in fields:
                raise ResourceUsageError(f"{kind} has no field {name!r}{_meant(kind, name, fields)}")
            if name in given:
                raise ResourceUsageError(f"{kind} got {name!r} twice")
        given.update(named)
        self._check_types(given)
        for name, factory in self._factories.items():
            if name not in given:
                given[name] = factory()
        self.__dict__.update({**self._defaults, **given})
        if len(self.__dict__) < len(fields):
            raise ResourceUsageError(f"{kind} needs {next(name for name in fields if name not in self.__dict__)!r}")
        self.__post_init__()

    def _check_types(self, given: Dict[str, Any]) -> None:
        """What is given must be of the field's type, where that is a plain one. Raises ResourceUsageError."""
        for name, value in given.items():
            types = self._types.get(name)
            if types is None or type(value) in types.good or (value is None and types.optional):
                continue
            if isinstance(value, bool) or not isinstance(value, types.good):
                kind = type(self).__name__
                raise ResourceUsageError(f"{kind}: {name} must be {types.sentence}, not {value!r}")

    def __post_init__(self) -> None:
        """Check and normalise the fields here; raise ResourceUsageError."""

    def _set(self, **values: Any) -> None:
        """Set attributes of a frozen object: normalised fields in __post_init__, surroundings in bind."""
        self.__dict__.update(values)

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, checked as new ones are."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return type(self)(**{**values, **changes})

    def _bound(self, **values: Any) -> Self:
        """A copy with surroundings of its own, for `bind`; nothing is checked again."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **values)
        return copy

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=..)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _values(self) -> Tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__dataclass_fields__])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown: List[str] = []
        for name, each in self.__dataclass_fields__.items():
            value = getattr(self, name)
            if not each.repr or (each.default is not MISSING and value == each.default):
                continue
            shown.append(repr(value) if not each.kw_only and len(shown) == 0 else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _meant(kind: str, name: str, fields: Iterable[str]) -> str:
    """The nearest field, or what another tool's word for it is here."""
    from cookline.host.resources.chef_words import known_as

    return known_as(kind, name) or did_you_mean(name, fields)


def _plain_types(cls: type) -> Dict[str, Types]:
    """The types of its own fields, by their annotations as they are written: "Optional[bool]", "bool | None"."""
    found = {}
    for name, annotation in _annotations(cls).items():
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        inner = text[len("Optional[") : -1] if text.startswith("Optional[") else text.replace(" | None", "")
        if inner in PLAIN:
            found[name] = PLAIN[inner]._replace(optional=inner != text or PLAIN[inner].optional)
    return found


def _annotations(cls: type) -> Dict[str, Any]:
    annotations = vars(cls).get("__annotations__")
    if annotations is None:  # Python 3.14 makes them when they are asked for
        annotations = cls.__annotations__ if sys.version_info >= (3, 14) else {}
    return dict(annotations)


def _own_fields(cls: type) -> Dict[str, Field]:
    """Its own fields, in their order. Raises ResourceUsageError for a default that all would share."""
    fields: Dict[str, Field] = {}
    for name, annotation in _annotations(cls).items():
        if "ClassVar" in str(annotation).partition("[")[0]:
            continue
        value = cls.__dict__.get(name, MISSING)
        each = value if isinstance(value, Field) else Field(value, MISSING, False, True)
        if isinstance(each.default, (list, dict, set)):
            raise ResourceUsageError(f"{cls.__name__}.{name}: every one would share this default; say default_factory")
        if each.default is not MISSING:
            setattr(cls, name, each.default)
        elif name in cls.__dict__:
            delattr(cls, name)
        fields[name] = each
    return fields
