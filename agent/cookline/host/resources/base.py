"""The contract of a resource.

A resource is declared as a dataclass is, and frozen: the first fields may be given by position, the common ones only by name.
It answers

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

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.declared import Declared
from cookline.host.resources.declared import field as field

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay
    from cookline.host.resources.scope import Scope
    from cookline.host.system import System

State = Dict[str, Any]
Changes = Dict[str, Tuple[Any, Any]]
Guard = Union[str, Callable[[], bool], None]
T = TypeVar("T")

ABSENT: State = {"exists": False}


class Action(Declared):
    """Something that is done, not a state: Restart, Reload, Run. Owed by `later=` and `now=`; done once per run."""

    @property
    def name(self) -> str:
        return f"{type(self).__name__}[{getattr(self, next(iter(self.__dataclass_fields__)))}]"

    def gone(self, host: System) -> str:
        """Why an action that an earlier run owes cannot be done any more, as its unit was removed since; else empty."""
        return ""

    def perform(self, host: System) -> None:
        raise ResourceUsageError(f"{type(self).__name__} does not define perform(self, host): what is done")


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
    # True for what the attempt ends with when it has changed: a Reboot, after which the run goes on from the top.
    ends_attempt: ClassVar[bool] = False
    # False for what needs no service to run: a service that was started just before may still be coming to rest meanwhile.
    needs_services: ClassVar[bool] = True
    # Fields of `desired()` whose values are never shown.
    sensitive_fields: ClassVar[Sequence[str]] = ()

    @property
    def name(self) -> str:
        """Package[nginx]: the kind and its first positional field, which is its identity on the host."""
        return f"{type(self).__name__}[{self.identity}]"

    @property
    def identity(self) -> str:
        value = getattr(self, self._positional[0])
        return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)

    def bind(self, scope: Scope) -> Resource:
        """The same resource with what only a recipe's surroundings can give (a rendered template, a cookbook's file)."""
        return self

    def awaits(self, started: Resource) -> bool:
        """Whether what `started` has started must have come to rest before this is looked at."""
        return self.needs_services

    def current(self, host: System) -> State:
        raise self._not_written("current(self, host)", "what is there now, as a mapping of fields to values")

    def desired(self) -> State:
        raise self._not_written("desired(self)", "what shall be there, as a mapping of fields to values")

    def apply(self, host: System, changes: Changes) -> None:
        raise self._not_written("apply(self, host, changes)", "what makes it so")

    def _not_written(self, method: str, what: str) -> ResourceUsageError:
        return ResourceUsageError(f"{type(self).__name__} does not define {method}: {what}")

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The resource that would put back what `apply` is about to change; None where that cannot be done."""
        return None

    def predict(self, host: Overlay, changes: Changes) -> None:
        """Leave the plan's picture of the machine as `apply` would leave the machine.

        Raises PlanWrite where only a program knows; then later resources may find `cannot know`.
        """
        self.apply(host, changes)

    def below(self) -> Optional[str]:
        """The path that all its work stays below; None when it may reach anywhere. A plan goes by it."""
        return None

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        """A unified diff for the report, made before `apply`; None when the changes say it all."""
        return None

    def owes(self, host: System) -> Sequence[Action]:
        """Actions that a change owes of itself, after those that the recipe names; asked before `apply`."""
        return ()

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
