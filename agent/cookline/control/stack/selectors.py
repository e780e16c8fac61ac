"""`--on web1,layer:app,state:online`: which instances are meant.

Names, patterns (`web*`) and layers add up; `state:`, `provider:` and `fact:os.codename=bookworm` (as the last run on the host
found it) narrow what they gave, or all instances when nothing was named; `not:web1` and `not:layer:app` take away. Every term
must match something: one that does not is a mistake, not an empty answer.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cookline.control.stack.events import STATES
from cookline.errors import SelectorError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.models import Stack

KINDS = ("layer", "state", "provider", "app", "fact", "not")
# These narrow what the others gave.
NARROWING = ("state", "provider", "fact")
Facts = Mapping[str, Mapping[str, Any]]


def select(stack: Stack, selector: str, states: Mapping[str, str] | None = None, facts: Facts | None = None) -> list[str]:
    """Names of the instances that `selector` means, in the stack's order; `states` is {instance: state word}, `facts` what is
    known of each.

    Raises SelectorError for a term that matches nothing, with the nearest name, and when nothing is left.
    """
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise SelectorError(
            "the selector is empty", hint="name instances, or layer:NAME, state:WORD, provider:NAME, app:NAME, fact:PATH=VALUE"
        )
    named: set[str] = set()
    taken_away: set[str] = set()
    narrowed: dict[str, set[str]] = {}
    for term in terms:
        kind, _, value = term.partition(":")
        if kind == "not" and value:
            taken_away |= _matching(stack, value, states, facts)
        elif kind in NARROWING:
            # states add up among themselves, and so do the values of one fact; different ones narrow further
            key = value.partition("=")[0] if kind == "fact" else kind
            narrowed[key] = narrowed.get(key, set()) | _matching(stack, term, states, facts)
        else:
            named |= _matching(stack, term, states, facts)
    adds = any(term.partition(":")[0] not in ("not", *NARROWING) or ":" not in term for term in terms)
    found = (named if adds else set(stack.instances)) - taken_away
    for narrow in narrowed.values():
        found &= narrow
    if not found:
        raise SelectorError(f"no instance of {stack.name} is left by {selector!r}", hint=_known(stack.instances))
    return [name for name in stack.instances if name in found]


def _of_fact(stack: Stack, value: str, facts: Facts) -> set[str]:
    """The instances whose fact is this. Raises SelectorError for a fact that nobody has reported."""
    path, equals, wanted = value.partition("=")
    group, _, name = path.partition(".")
    found = {host: facts.get(host, {}).get(group, {}).get(name) for host in stack.instances}
    seen = {str(each) for each in found.values() if each is not None}
    if not equals or not seen:
        known = sorted({f"{group}.{name}" for each in facts.values() for group, names in each.items() for name in names})
        near = did_you_mean(path, known) if equals else "; write fact:os.codename=bookworm"
        hint = _known(known) or "a host's facts are known after its first run"
        raise SelectorError(f"no host of {stack.name} has reported the fact {path!r}{near}", hint=hint)
    _check(wanted, sorted(seen), f"no host of {stack.name} has the {path}")
    return {host for host, each in found.items() if each is not None and str(each) == wanted}


def _matching(stack: Stack, term: str, states: Mapping[str, str] | None, facts: Facts | None) -> set[str]:
    """The instances that one term means; at least one."""
    kind, colon, value = term.partition(":")
    if not colon:
        return _named(stack, term)
    if kind == "layer":
        _check(value, stack.layers, f"stack {stack.name} has no layer")
        found = {name for name, host in stack.instances.items() if value in host.layers}
    elif kind == "app":
        _check(value, stack.apps, f"stack {stack.name} has no app")
        found = {name for name, host in stack.instances.items() if set(host.layers) & set(stack.apps[value].layers)}
    elif kind == "state":
        _check(value, STATES, "there is no state")
        found = {name for name in stack.instances if (states or {}).get(name) == value}
    elif kind == "provider":
        providers = {host.provider for host in stack.instances.values()}
        _check(value, providers, f"no instance of {stack.name} is of the provider")
        found = {name for name, host in stack.instances.items() if host.provider == value}
    elif kind == "fact":
        found = _of_fact(stack, value, facts or {})
    else:
        raise SelectorError(f"{kind!r} is no kind of selector{did_you_mean(kind, KINDS)}", hint=f"kinds are {', '.join(KINDS)}")
    if not found:
        seen = sorted({(states or {}).get(name, "unknown") for name in stack.instances})
        hint = f"states are {', '.join(seen)}" if kind == "state" else None
        raise SelectorError(f"{term!r} matches no instance of {stack.name}", hint=hint)
    return found


def _named(stack: Stack, term: str) -> set[str]:
    if any(char in term for char in "*?["):
        found = {name for name in stack.instances if fnmatch.fnmatchcase(name, term)}
    else:
        found = {term} & set(stack.instances)
    if not found:
        near = did_you_mean(term, stack.instances)
        layer = f"; a layer is selected by layer:{term}" if term in stack.layers and not near else ""
        raise SelectorError(f"stack {stack.name} has no instance {term!r}{near}{layer}", hint=_known(stack.instances))
    return found


def _check(value: str, known: Iterable[str], sentence: str) -> None:
    known = list(known)
    if value not in known:
        raise SelectorError(f"{sentence} {value!r}{did_you_mean(value, known)}", hint=_known(known))


def _known(names: Iterable[str]) -> str | None:
    """At most 20 of them: a terminal is no index of a fleet."""
    names = list(names)
    rest = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"known are {', '.join(names[:20])}{rest}" if names else None
