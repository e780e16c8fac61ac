"""A push that changes what online hosts know of each other configures them; any other push does nothing by itself."""

from __future__ import annotations

from typing import Any

import pytest
from clockwork import Clockwork

from cookline.control.stack.revision import freeze

EVERYBODY = [("app1", "configure"), ("app2", "configure"), ("app3", "configure")]


@pytest.fixture
def shop(clockwork: Any) -> Clockwork:
    addresses = {name: f", address: 192.0.2.{number}" for number, name in enumerate(("app1", "app2", "app3"), start=1)}
    made: Clockwork = clockwork(provider="static", instances=addresses)
    assert made.kitchen.do("setup").exit_code == 0
    made.look()
    made.kitchen.executed()
    return made


def push(shop: Clockwork, before: str, after: str) -> None:
    file = shop.kitchen.directory / "shop.yml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    shop.store.push(freeze(file), author="ann")


def told(shop: Clockwork, name: str) -> dict[str, str]:
    """The addresses of those online that the host's last run was told."""
    instances = shop.kitchen.hosts.host(name).requests[-1]["snapshot"]["instances"]
    return {each["name"]: each["address"] for each in instances if each["online"]}


def test_an_address_that_changes_is_told_to_everybody_once(shop: Clockwork) -> None:
    push(shop, "192.0.2.2", "192.0.2.77")
    shop.look()
    assert told(shop, "app1") == {"app1": "192.0.2.1", "app2": "192.0.2.77", "app3": "192.0.2.3"}
    assert shop.kitchen.executed() == EVERYBODY
    assert shop.commands() == [("configure", None, "amendment")]
    shop.minutes(3)
    assert shop.kitchen.executed() == []


def test_whoever_is_let_go_is_told_to_the_rest(shop: Clockwork) -> None:
    push(shop, "  app2: {layers: [app], provider: static, transport: dummy, address: 192.0.2.2}\n", "")
    shop.look()
    assert told(shop, "app1") == {"app1": "192.0.2.1", "app3": "192.0.2.3"}
    assert shop.kitchen.executed() == [("app1", "configure"), ("app3", "configure")]


def test_a_layer_that_gets_a_balancer_configures(shop: Clockwork) -> None:
    push(shop, "    shutdown_timeout: 1\n", "    shutdown_timeout: 1\n    drain: {layers: [lb]}\n")
    shop.look()
    assert shop.kitchen.executed() == EVERYBODY


def test_another_push_waits_for_a_command(shop: Clockwork) -> None:
    push(shop, "shutdown_timeout: 1\n", "shutdown_timeout: 7\n")
    shop.minutes(2)
    assert shop.kitchen.executed() == []


def test_a_push_while_no_server_ran_is_caught_up_with(shop: Clockwork) -> None:
    push(shop, "192.0.2.2", "192.0.2.77")
    shop.restart_server()
    shop.look()
    assert shop.kitchen.executed() == EVERYBODY


def test_who_comes_and_goes_by_command_costs_no_second_configure(shop: Clockwork) -> None:
    shop.kitchen.do("shutdown", "app2")
    shop.look()
    assert shop.kitchen.executed() == [("app2", "shutdown"), ("app1", "configure"), ("app3", "configure")]


def test_without_a_server_a_command_tells_the_new_address(shop: Clockwork) -> None:
    push(shop, "192.0.2.2", "192.0.2.77")
    assert shop.kitchen.do("configure").exit_code == 0
    assert told(shop, "app3")["app2"] == "192.0.2.77"
