"""What a command does to which instances: pure functions over plain data, the rules of OpsWorks in one table.

    steps      the first wave: one Step for each targeted instance, to be run or to be skipped for a reason
    follow_up  the second wave: configure, on every instance that is online by then

Rows O13 to O26 and O42 to O48 of the feature list give the sources.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cookline.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Member:
    """What the rules know of an instance.

    can_start    its provider can power it on and off; False for hosts that are only described (static)
    was_online   it is rebooting and was online before: to the others it is online all the time
    on_purpose   it was stopped by an operator: a command on the whole stack leaves it alone
    automatic    "by its schedule" or "by the load of its layers" where timers start and stop it: left alone likewise
    apps         apps whose layers it is in
    """

    name: str
    id: str
    state: str
    layers: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    can_start: bool = False
    on_purpose: bool = False
    automatic: str = ""
    was_online: bool = False


@dataclass(frozen=True)
class Rule:
    """How one command works.

    event      of the recipes that it runs; "" when it runs none
    accepts    states in which an instance may be targeted; `whole` those that a command on the whole stack means
    during     the state while it runs; `success` and `failure` where it ends; "" leaves the state alone
    power      "on": the provider brings the host up first; "off": it stops it afterwards; "cycle": it reboots it
    restart    with power "on": a host that can be started is stopped first, whatever it is up to
    """

    event: str
    accepts: frozenset[str]
    whole: frozenset[str]
    during: str = ""
    success: str = ""
    failure: str = ""
    power: str = ""
    restart: bool = False


ONLINE = frozenset({"online"})
# states of a host that is down, or of which nothing better is known: start brings it up, setup starts at the same place
DOWN = frozenset({"stopped", "registered", "start_failed", "stop_failed", "connection_lost", "requested", "pending", "booting"})
UP = frozenset({"online", "setup_failed", "running_setup"})
RUNNING = ONLINE | {"setup_failed", "connection_lost", "running_setup", "rebooting", "shutting_down", "stop_failed", "stopping"}
# states left over by a command whose controller died and which nobody resumed count as well: a new command mends them

_BOOT: dict[str, Any] = {"during": "running_setup", "success": "online", "failure": "setup_failed", "power": "on"}
_HALT: dict[str, Any] = {"during": "shutting_down", "success": "stopped", "failure": "stop_failed", "power": "off"}

RULES: dict[str, Rule] = {
    "setup": Rule("setup", DOWN | UP, DOWN | UP, **_BOOT),
    "start": Rule("setup", DOWN | {"setup_failed"}, DOWN | {"setup_failed"}, **_BOOT),
    # start_failed: a healing that did not get the host up is tried again
    "heal": Rule(
        "setup", frozenset({"connection_lost", "start_failed"}), frozenset({"connection_lost"}), **_BOOT, restart=True
    ),
    "configure": Rule("configure", ONLINE, ONLINE),
    "deploy": Rule("deploy", ONLINE, ONLINE),
    "undeploy": Rule("undeploy", ONLINE, ONLINE),
    "rollback": Rule("deploy", ONLINE, ONLINE),
    "run": Rule("execute_recipes", ONLINE, ONLINE),
    "undo": Rule("execute_recipes", UP, UP),
    "shutdown": Rule("shutdown", RUNNING, RUNNING, **_HALT),
    "stop": Rule("shutdown", RUNNING, RUNNING, **_HALT),
    "reboot": Rule(
        "",
        ONLINE | {"setup_failed", "connection_lost"},
        ONLINE,
        during="rebooting",
        success="online",
        failure="connection_lost",
        power="cycle",
    ),
}

# commands on apps: without an explicit target they mean the instances of the app's layers
OF_APPS = frozenset({"deploy", "undeploy", "rollback"})
# commands that change who is online, and so are followed by configure
MOVES = frozenset({"setup", "start", "heal", "shutdown", "stop"})
# .. and a reboot that fails takes an instance out
FOLLOWED = MOVES | {"reboot"}


@dataclass(frozen=True)
class Step:
    """One instance's part of a command. With `skip` set nothing is run, and it says why."""

    name: str
    id: str
    event: str
    skip: str = ""
    power: str = ""


@dataclass(frozen=True)
class Wanted:
    """What the operator asked for: `names` the instances that were named, None for the whole stack."""

    kind: str
    names: tuple[str, ...] | None = None
    apps: tuple[str, ...] = ()
    recipes: tuple[str, ...] = field(default=())


def rule_of(kind: str) -> Rule:
    """Raises UsageError for a command that is not known."""
    if kind not in RULES:
        raise UsageError(f"{kind!r} is not a lifecycle command{did_you_mean(kind, RULES)}", hint=f"known: {', '.join(RULES)}")
    return RULES[kind]


def steps(wanted: Wanted, members: Sequence[Member]) -> list[Step]:
    """One step for each instance that the command targets, in the order of `members`."""
    rule = rule_of(wanted.kind)
    targets = [member for member in members if _targeted(wanted, rule, member)]
    return [Step(each.name, each.id, rule.event, _why_not(wanted, rule, each), _power(rule, each)) for each in targets]


def _targeted(wanted: Wanted, rule: Rule, member: Member) -> bool:
    if wanted.names is not None:
        return member.name in wanted.names
    if wanted.kind in OF_APPS and not set(wanted.apps) & set(member.apps):
        return False
    # an instance that is busy coming or going is named in the report rather than silently left out
    return member.state in rule.whole or wanted.kind in MOVES


def _why_not(wanted: Wanted, rule: Rule, member: Member) -> str:
    if member.state not in rule.accepts:
        return _state_reason(wanted.kind, member)
    if wanted.names is None and member.on_purpose and rule.power == "on":
        return f"it was stopped on purpose; `cookline start {member.name}` starts it"
    if wanted.names is None and member.automatic and rule.power == "on" and member.state in DOWN - {"connection_lost"}:
        return f"it is started {member.automatic}; `cookline start {member.name}` starts it now"
    if wanted.kind in OF_APPS and not set(wanted.apps) & set(member.apps):
        return f"none of its layers ({', '.join(member.layers)}) runs {' or '.join(wanted.apps)}"
    if (rule.power == "cycle" or rule.restart) and not member.can_start:
        return "its provider only describes it and cannot reboot it"
    return ""


def _state_reason(kind: str, member: Member) -> str:
    if kind == "start" and member.state == "online":
        return "it is online already"
    if kind in ("stop", "shutdown") and member.state in ("stopped", "registered"):
        return "it is stopped already"
    return f"it is {member.state}; {kind} needs {_words(RULES[kind].accepts)}"


def _words(states: Iterable[str]) -> str:
    return " or ".join(sorted(states))


def _power(rule: Rule, member: Member) -> str:
    """What is asked of the provider. Setup on a host that is up asks for nothing; a described host is never powered."""
    if rule.power == "on":
        return "restart" if rule.restart else "on" if member.state not in UP else ""
    return rule.power if member.can_start else ""


def follow_up(online_before: Collection[str], entered: Collection[str], members: Sequence[Member]) -> list[Step]:
    """The configure of everybody who is online, when somebody entered or left online since `online_before`.

    `entered` are those that came online by this command, also those that had been online before (setup takes an instance
    out of service). A whole batch costs each online instance one configure.
    """
    online = [member for member in members if member.state == "online" or member.was_online]
    left = set(online_before) - {member.name for member in online}
    if not left and not entered:
        return []
    return [Step(member.name, member.id, "configure") for member in online]


def totals(outcomes: Iterable[str]) -> Mapping[str, int]:
    """Outcome to count, for the last line of a command."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts
