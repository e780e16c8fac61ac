"""The rules, case by case: who gets which event, who is skipped and why, who is configured afterwards."""

from __future__ import annotations

import pytest

from cookline.control.lifecycle.plan import RULES, Member, Wanted, follow_up, steps
from cookline.control.lifecycle.states import STATES, TRANSITIONS
from cookline.errors import UsageError


def member(
    name: str, state: str = "online", *, can_start: bool = True, on_purpose: bool = False, apps: tuple[str, ...] = ()
) -> Member:
    return Member(name, f"id-{name}", state, ("layer",), apps, can_start, on_purpose)


def planned(
    kind: str, members: list[Member], names: tuple[str, ...] | None = None, apps: tuple[str, ...] = ()
) -> dict[str, str]:
    """Instance to event, or to "skip: reason"."""
    made = steps(Wanted(kind, names, apps), members)
    return {step.name: f"skip: {step.skip}" if step.skip else step.event for step in made}


FLEET = [member("a"), member("b", "stopped"), member("c", "stopped", on_purpose=True), member("d", "setup_failed")]


def test_setup_of_a_stack_leaves_alone_what_was_stopped_on_purpose() -> None:
    made = planned("setup", FLEET)
    assert made == {
        "a": "setup",
        "b": "setup",
        "c": "skip: it was stopped on purpose; `cookline start c` starts it",
        "d": "setup",
    }


def test_naming_an_instance_starts_it_whoever_stopped_it() -> None:
    assert planned("start", FLEET, ("c",)) == {"c": "setup"}
    assert planned("setup", FLEET, ("c",)) == {"c": "setup"}


def test_start_skips_what_is_online() -> None:
    assert planned("start", FLEET, ("a",)) == {"a": "skip: it is online already"}


def test_configure_of_a_stack_means_who_is_online() -> None:
    assert planned("configure", FLEET) == {"a": "configure"}
    assert planned("configure", FLEET, ("b",)) == {"b": "skip: it is stopped; configure needs online"}


def test_deploy_means_the_online_instances_of_the_apps_layers() -> None:
    fleet = [member("app1", apps=("shop",)), member("app2", "stopped", apps=("shop",)), member("db1")]
    assert planned("deploy", fleet, apps=("shop",)) == {"app1": "deploy"}
    assert planned("deploy", fleet, ("db1",), ("shop",))["db1"].startswith("skip: none of its layers")
    assert planned("rollback", fleet, apps=("shop",)) == {"app1": "deploy"}


def test_shutdown_reaches_instances_that_are_in_trouble() -> None:
    fleet = [member("a"), member("b", "setup_failed"), member("c", "connection_lost"), member("d", "stopped")]
    made = planned("stop", fleet)
    assert made == {"a": "shutdown", "b": "shutdown", "c": "shutdown", "d": "skip: it is stopped already"}


def test_reboot_fires_no_event_and_needs_a_provider_that_can() -> None:
    fleet = [member("a"), member("b", can_start=False)]
    made = {step.name: step for step in steps(Wanted("reboot", None), fleet)}
    assert (made["a"].event, made["a"].power, made["a"].skip) == ("", "cycle", "")
    assert "cannot reboot" in made["b"].skip


def test_power_is_asked_of_providers_that_have_it_and_only_when_needed() -> None:
    def power(kind: str, one: Member) -> str:
        return steps(Wanted(kind, (one.name,)), [one])[0].power

    assert power("setup", member("a")) == "", "a host that is up is not booted"
    assert power("setup", member("a", "stopped")) == "on"
    assert power("setup", member("a", "stopped", can_start=False)) == "on", "the provider of a described host says where it is"
    assert power("stop", member("a")) == "off"
    assert power("stop", member("a", can_start=False)) == "", "a described host is never powered off"


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'configure'"):
        steps(Wanted("configur"), [])


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("state", STATES)
def test_every_command_has_an_answer_for_every_state(kind: str, state: str) -> None:
    [step] = steps(Wanted(kind, ("a",), ("shop",)), [member("a", state, apps=("shop",))])
    assert step.skip or state in RULES[kind].accepts
    if not step.skip and RULES[kind].during and step.power not in ("on", "restart"):
        assert state == RULES[kind].during or RULES[kind].during in TRANSITIONS[state], "an accepted state must have the way"


def configured(before: set[str], entered: set[str], *members: Member) -> list[str]:
    return [step.name for step in follow_up(before, entered, members)]


def test_a_newcomer_configures_everybody_and_itself() -> None:
    assert configured({"a", "b", "c"}, {"d"}, *map(member, "abcd")) == ["a", "b", "c", "d"]


def test_a_leaver_configures_the_others_only() -> None:
    assert configured({"a", "b", "c", "d"}, set(), member("a", "stopped"), *map(member, "bcd")) == ["b", "c", "d"]


def test_a_failed_newcomer_configures_nobody() -> None:
    assert configured({"a"}, set(), member("a"), member("d", "setup_failed")) == []


def test_one_success_in_a_batch_configures_who_is_online() -> None:
    assert configured(set(), {"a"}, member("a"), member("b", "setup_failed")) == ["a"]


def test_setup_of_an_instance_that_was_online_counts_as_coming_back() -> None:
    assert configured({"a", "b"}, {"a"}, member("a"), member("b")) == ["a", "b"]


def test_an_online_instance_whose_setup_fails_has_left() -> None:
    assert configured({"a", "b"}, set(), member("a", "setup_failed"), member("b")) == ["b"]


def test_nothing_moved_nothing_configured() -> None:
    assert configured({"a", "b"}, set(), member("a"), member("b")) == []
