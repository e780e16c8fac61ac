"""What a recipe is given: the node that it converges.

def recipe(node: Node) -> None:
    node.ensure(Package("nginx"))
    node.ensure(Template("/etc/nginx/nginx.conf", source="nginx.conf.j2"), later=Reload("nginx"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from cookline.errors import CookbookError, did_you_mean
from cookline.host.facts import Facts
from cookline.host.resources.base import Action, Changes, Resource
from cookline.host.run.cookbook_facts import CookbookFacts

if TYPE_CHECKING:
    from cookline.host.run.engine import Engine
    from cookline.protocol import RunRequest

Actions = Union[Action, Sequence[Action]]


class Outcome:
    """How a resource ended: unchanged, changed, failed or skipped; in a plan `cannot know` counts as changed."""

    def __init__(self, kind: str, changes: Optional[Changes] = None, reason: str = "") -> None:
        self.kind = kind
        self.changes = changes or {}
        self.reason = reason

    @property
    def changed(self) -> bool:
        return self.kind in ("changed", "will_change", "cannot_know")

    @property
    def failed(self) -> bool:
        return self.kind == "failed"

    @property
    def skipped(self) -> bool:
        return self.kind == "skipped"

    def __repr__(self) -> str:
        return f"Outcome({self.kind})"


class Attributes(Mapping[str, Any]):
    """Read-only attributes; a missing one is an error that names its path and the nearest right name."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            where = f" under {self._path!r}" if self._path else ""
            raise CookbookError(
                f"there is no attribute {name!r}{where}{did_you_mean(name, self._values)}",
                hint=f"cookline explain {self._join(name)} shows where attributes come from",
            )
        value = self._values[name]
        return Attributes(value, self._join(name)) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._values else default

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Attributes({dict(self._values)!r})"

    def to_dict(self) -> Dict[str, Any]:
        return dict(self._values)

    def _join(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else str(name)


class StackView:
    """The snapshot that this run was given: every instance and layer as they stood when it was dispatched."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self.name: str = snapshot.get("stack", {}).get("name", "")
        self.id: str = snapshot.get("stack", {}).get("id", "")
        self.number: int = snapshot.get("number", 0)
        self.layers = Attributes(snapshot.get("layers", {}))
        self._instances = [Attributes(entry, f"instance {entry.get('name')}") for entry in snapshot.get("instances", [])]

    def instances(self, *, layer: Optional[str] = None, online: Optional[bool] = None) -> List[Attributes]:
        """Instances in the order of the definition, narrowed by layer and by being online. Raises CookbookError for a layer
        that the stack does not have."""
        if layer is not None and layer not in self.layers:
            raise CookbookError(f"the stack {self.name!r} has no layer {layer!r}{did_you_mean(layer, self.layers)}")
        return [
            instance
            for instance in self._instances
            if (layer is None or layer in instance["layers"]) and (online is None or bool(instance["online"]) == online)
        ]

    def instance(self, name: str) -> Attributes:
        for candidate in self._instances:
            if candidate["name"] == name:
                return candidate
        names = [str(candidate["name"]) for candidate in self._instances]
        raise CookbookError(f"the stack {self.name!r} has no instance {name!r}{did_you_mean(name, names)}")


class Node:
    """The host that a recipe converges; see the module's text.

    event      the lifecycle event that runs: setup, configure, deploy, undeploy, shutdown or execute_recipes
    stack      the snapshot; `instance` is this host in it
    apps       apps of this instance's layers by name; `app` is the one that the event deploys, or None
    facts      what the machine is
    """

    def __init__(self, request: RunRequest, engine: Engine, facts: Optional[Facts] = None) -> None:
        self._request = request
        self._engine = engine
        self.event = request.event
        self.attributes = Attributes(request.attributes)
        self.facts = facts or Facts(engine.system, CookbookFacts(engine.cookbooks))
        self.stack = StackView(request.snapshot)
        self.apps = Attributes(request.snapshot.get("apps", {}), "apps")
        self.app = self.apps[request.app] if request.app else None

    @property
    def name(self) -> str:
        return self._request.instance

    @property
    def instance(self) -> Attributes:
        return self.stack.instance(self._request.instance)

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def ensure(self, resource: Resource, *, later: Actions = (), now: Actions = ()) -> Outcome:
        """Bring `resource` to its desired state.

        `now` is done as soon as the resource has changed, `later` once at the end of the run; both are journalled before
        the change is made, so that a run that dies still owes them. A failed resource ends the run, unless it says
        `ignore_failure`.
        """
        if not isinstance(resource, Resource):
            raise CookbookError(_no_resource(resource))
        return self._engine.ensure(resource, later=as_actions(later), now=as_actions(now))

    def include(self, recipe: str) -> None:
        """Run another recipe here, "cookbook::recipe", once per run. Raises CookbookError."""
        self._engine.run_recipe(recipe)

    def later(self, action: Action) -> None:
        """Owe an action of the recipe's own reasoning; promised from this line on."""
        self._engine.owe(action, because="the recipe")

    def log(self, text: str, level: str = "info") -> None:
        self._engine.log(text, level)

    def metric(self, name: str, value: float, unit: str = "None") -> None:
        """Publish one value in the namespace `Cookline/STACK`, under the instance, its layers and the stack; `unit` as in
        CloudWatch's MetricDatum. A plan publishes nothing, nor does a host that has no agent."""
        self._engine.metric(name, value, unit)

    def template_inputs(self) -> Dict[str, Any]:
        """Everything but facts that a template can see; the number of the snapshot is left out, it changes nothing."""
        snapshot = {name: value for name, value in self._request.snapshot.items() if name not in ("number", "store")}
        request = self._request
        return {"attributes": request.attributes, "snapshot": snapshot, "event": request.event, "app": request.app}


def as_actions(actions: Any) -> Tuple[Action, ...]:
    """What later= and now= were given, one action or several. Raises CookbookError for what is none."""
    given = tuple(actions) if isinstance(actions, (list, tuple)) else (actions,)
    for action in given:
        if not isinstance(action, Action):
            raise CookbookError(f"later= and now= take actions such as Restart('nginx'), not {action!r}")
    return given


def _no_resource(given: Any) -> str:
    if isinstance(given, Action):
        return f"{given.name} is an action: give it as later= or now= of a node.ensure(..), or to node.later(..)"
    if isinstance(given, type) and issubclass(given, Resource):
        return f"node.ensure takes a resource with its fields, as {given.__name__}(..), not the kind {given.__name__} itself"
    return f"node.ensure takes a resource such as Package('nginx'), not {given!r}"
