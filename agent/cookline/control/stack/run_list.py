"""Which recipes an instance runs for an event, and who serves which app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.control.stack.events import EVENTS
from cookline.errors import SelectorError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.models import Instance, Stack


def instance_named(stack: Stack, name: str) -> Instance:
    """Raises SelectorError with the nearest name."""
    if name not in stack.instances:
        hint = (
            f"stack {stack.name} has {', '.join(stack.instances)}"
            if stack.instances
            else f"stack {stack.name} has no instances"
        )
        raise SelectorError(f"stack {stack.name} has no instance {name!r}{did_you_mean(name, stack.instances)}", hint=hint)
    return stack.instances[name]


def run_list(stack: Stack, instance: str, event: str) -> list[str]:
    """The recipes ("cookbook::recipe") of `event` on `instance`: each of its layers' lists, in the instance's order.

    Setup runs the setup recipes of all layers, then their deploy recipes (features O14, O15). A recipe that several layers name
    runs once, where it comes first.
    """
    host = instance_named(stack, instance)
    if event not in EVENTS:
        raise UsageError(f"there is no event {event!r}{did_you_mean(event, EVENTS)}", hint=f"events are {', '.join(EVENTS)}")
    named = [
        recipe
        for recipe_event in EVENTS[event].recipe_events
        for layer in host.layers
        for recipe in getattr(stack.layers[layer].recipes, recipe_event)
    ]
    return list(dict.fromkeys(named))


def apps_of(stack: Stack, instance: str) -> list[str]:
    """The apps that are deployed to the instance: those whose layers it is in."""
    layers = set(instance_named(stack, instance).layers)
    return [name for name, app in stack.apps.items() if layers & set(app.layers)]


def check_app(stack: Stack, app: str) -> None:
    """Raises SelectorError with the nearest name when the stack has no such app."""
    if app not in stack.apps:
        hint = f"stack {stack.name} has {', '.join(stack.apps)}" if stack.apps else f"stack {stack.name} has no apps"
        raise SelectorError(f"stack {stack.name} has no app {app!r}{did_you_mean(app, stack.apps)}", hint=hint)


def instances_of(stack: Stack, app: str) -> list[str]:
    """The instances that an app is deployed to. Raises SelectorError with the nearest name."""
    check_app(stack, app)
    return [name for name, host in stack.instances.items() if set(host.layers) & set(stack.apps[app].layers)]


def instances_in(stack: Stack, layer: str) -> list[str]:
    """The instances of a layer, in the order of the file."""
    return [name for name, host in stack.instances.items() if layer in host.layers]
