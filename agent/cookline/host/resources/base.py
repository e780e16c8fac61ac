"""The contract of a resource.

A resource is a frozen dataclass: the first fields may be given by position, the common ones only by name. It answers

    current(host)           what is there now, as a mapping of field name to JSON value; raises CannotKnow in a plan
    desired()               what shall be there, as a mapping; only fields that are managed
    apply(host, changes)    make it so; `changes` maps each differing field to (current, desired)

The engine (run/node.py) reads, compares, applies, reads again and reports. A field of `desired()` differs when `current()` has
another value or none. Fields named in `sensitive_fields`, and all fields of a `sensitive` resource, are shown without values.
Contents of files stand in both mappings as sha256 (`content`), so that declarations can be stored and compared on a timer.

    class Motd(Resource):
        '''The message of the day.

        >>> Motd("Hello")
        Motd('Hello')
        '''

        text: str

        def current(self, host: System) -> State: ...
"""

from __future__ import annotations

import dataclasses
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from cookline.errors import CooklineError, ResourceUsageError, did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform

    from cookline.host.run.scope import Scope
    from cookline.host.system import System
else:

    def dataclass_transform(**_options: Any) -> Callable[[Any], Any]:
        return lambda cls: cls


State = Dict[str, Any]
Changes = Dict[str, Tuple[Any, Any]]
Guard = Union[str, Callable[[], bool], None]
T = TypeVar("T")

ABSENT: State = {"exists": False}


class CannotKnow(CooklineError):
    """Raised by `current` in a plan: the answer depends on something that an earlier resource would do first."""


def field(
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    kw_only: bool = False,
    repr: bool = True,
) -> Any:
    """A field of a resource; `kw_only=True` for those that must be named. (Python 3.9 has no kw_only of its own.)"""
    metadata = {"kw_only": kw_only}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata, repr=repr)
    return dataclasses.field(default=default, metadata=metadata, repr=repr)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Declared:
    """Turns every subclass into a frozen dataclass whose constructor names mistyped fields and the nearest right ones."""

    __dataclass_fields__: ClassVar[Dict[str, dataclasses.Field[Any]]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Frozen and comparable by the methods below: what dataclasses would write for each class costs 0.4 ms at import.
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        # dataclasses keeps ClassVars in there too; what is left are the fields alone
        cls.__dataclass_fields__ = {
            name: each
            for name, each in cls.__dataclass_fields__.items()
            if each._field_type is dataclasses._FIELD  # type: ignore[attr-defined]
        }

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__dataclass_fields__
        kind = type(self).__name__
        positional = [name for name, each in fields.items() if not each.metadata.get("kw_only")]
        if len(values) > len(positional):
            raise ResourceUsageError(f"{kind} takes at most {len(positional)} values by position: {', '.join(positional)}")
        given = dict(zip(positional, values))
        for name, value in named.items():
            if name not in fields:
                raise ResourceUsageError(f"{kind} has no field {name!r}{did_you_mean(name, fields)}")
            if name in given:
                raise ResourceUsageError(f"{kind} got {name!r} twice")
            given[name] = value
        for name, each in fields.items():
            if name not in given:
                given[name] = self._default(each)
        for name in fields:
            object.__setattr__(self, name, given[name])
        self.__post_init__()

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"{type(self).__name__} is frozen; use replace({name}=..)")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def _values(self) -> Tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__dataclass_fields__])

    def _default(self, each: dataclasses.Field[Any]) -> Any:
        if each.default is not dataclasses.MISSING:
            return each.default
        if each.default_factory is not dataclasses.MISSING:
            return each.default_factory()
        raise ResourceUsageError(f"{type(self).__name__} needs {each.name!r}")

    def __post_init__(self) -> None:
        """Check and normalise the fields here; raise ResourceUsageError."""

    def _set(self, **values: Any) -> None:
        """Set attributes of a frozen object: normalised fields in __post_init__, surroundings in bind."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, as dataclasses.replace."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return type(self)(**{**values, **changes})

    def __repr__(self) -> str:
        shown: List[str] = []
        for name, each in self.__dataclass_fields__.items():
            value = getattr(self, name)
            if not each.repr or (each.default is not dataclasses.MISSING and value == each.default):
                continue
            shown.append(repr(value) if not each.metadata.get("kw_only") and len(shown) == 0 else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Action(Declared):
    """Something that is done, not a state: Restart, Reload, Run. Owed by `later=` and `now=`; done once per run."""

    @property
    def name(self) -> str:
        return f"{type(self).__name__}[{getattr(self, next(iter(self.__dataclass_fields__)))}]"

    def perform(self, host: System) -> None:
        raise NotImplementedError


class Resource(Declared):
    """A state that a recipe declares. See the module's text for the three methods.

    only_if, not_if    a shell command (exit 0 is true) or a callable; several of them in a list must all hold
    retries            times to try again after a failure, `retry_delay` seconds apart, doubling (features C31)
    ignore_failure     go on with the recipe after a failure
    sensitive          report neither values nor diffs
    timeout            seconds for each command of this resource; None is the command's own default
    """

    only_if: Any = field(default=None, kw_only=True)
    not_if: Any = field(default=None, kw_only=True)
    retries: int = field(default=0, kw_only=True)
    retry_delay: float = field(default=2.0, kw_only=True)
    ignore_failure: bool = field(default=False, kw_only=True)
    sensitive: bool = field(default=False, kw_only=True)
    timeout: Optional[float] = field(default=None, kw_only=True)

    # False for work without a state of its own (Execute): not read again after apply, never drift.
    has_state: ClassVar[bool] = True
    # Fields of `desired()` whose values are never shown.
    sensitive_fields: ClassVar[Sequence[str]] = ()

    @property
    def name(self) -> str:
        """Package[nginx]: the kind and its first positional field, which is its identity on the host."""
        return f"{type(self).__name__}[{self.identity}]"

    @property
    def identity(self) -> str:
        first = next(n for n, each in self.__dataclass_fields__.items() if not each.metadata.get("kw_only"))
        value = getattr(self, first)
        return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)

    def bind(self, scope: Scope) -> Resource:
        """The same resource with what only a recipe's surroundings can give (a rendered template, a cookbook's file)."""
        return self

    def current(self, host: System) -> State:
        raise NotImplementedError

    def desired(self) -> State:
        raise NotImplementedError

    def apply(self, host: System, changes: Changes) -> None:
        raise NotImplementedError

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        """A unified diff for the report, made before `apply`; None when the changes say it all."""
        return None

    def watched_paths(self) -> List[str]:
        """Paths that the resident agent watches: a change there is looked at at once."""
        return []

    def declaration(self) -> Dict[str, Any]:
        """The fields that `current` needs, as JSON; what the drift timer gets instead of a recipe."""
        skipped = {"only_if", "not_if", "retries", "retry_delay", "ignore_failure"}
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in skipped}

    @classmethod
    def from_declaration(cls: Type[T], fields: Mapping[str, Any]) -> T:
        return cls(**fields)


def differences(current: Mapping[str, Any], desired: Mapping[str, Any]) -> Changes:
    """Each field of `desired` that `current` lacks or has otherwise, as (current, desired)."""
    return {
        name: (current.get(name), value) for name, value in desired.items() if name not in current or current[name] != value
    }
