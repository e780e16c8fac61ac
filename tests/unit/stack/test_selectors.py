"""--on: what it selects, and that a term without a match is a mistake with the nearest word."""

import pytest

from cookline.control.stack.events import EVENTS, LIFECYCLE_EVENTS, STATES
from cookline.control.stack.loading import Definition
from cookline.control.stack.run_list import apps_of, instances_in, instances_of, run_list
from cookline.control.stack.selectors import select
from cookline.errors import SelectorError, UsageError

STANDING = {"web1": "online", "web2": "stopped", "db1": "online"}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("web1", ["web1"]),
        ("db1, web1", ["web1", "db1"]),
        ("web*", ["web1", "web2"]),
        ("layer:web", ["web1", "web2"]),
        ("app:blog", ["web1", "web2", "db1"]),
        ("db1,layer:web,state:online", ["web1", "db1"]),
        ("state:online", ["web1", "db1"]),
        ("state:online,state:stopped", ["web1", "web2", "db1"]),
        ("provider:container", ["db1"]),
        ("layer:extra,not:web1", ["web2", "db1"]),
        ("not:layer:web", ["db1"]),
        ("state:online,provider:static", ["web1"]),
    ],
)
def test_a_selector_means(shop: Definition, selector: str, names: list[str]) -> None:
    assert select(shop.stack, selector, STANDING) == names


@pytest.mark.parametrize(
    ("selector", "sentence"),
    [
        ("wbe1", "has no instance 'wbe1'; did you mean 'web1'"),
        ("extra", "a layer is selected by layer:extra"),
        ("layer:wbe", "did you mean 'web'"),
        ("state:onlin", "did you mean 'online'"),
        ("state:booting", "matches no instance"),
        ("lyer:web", "did you mean 'layer'"),
        ("app:shpo", "did you mean 'shop'"),
        ("provider:static,db1", "no instance of shop is left"),
        ("web1,not:web1", "no instance of shop is left"),
        ("web1,nobody", "has no instance 'nobody'"),
        ("x*", "has no instance 'x"),
        (" , ", "the selector is empty"),
    ],
)
def test_a_selector_that_matches_nothing_is_a_mistake(shop: Definition, selector: str, sentence: str) -> None:
    with pytest.raises(SelectorError, match=sentence.replace("*", r"\*")):
        select(shop.stack, selector, STANDING)


def test_setup_runs_all_setup_recipes_of_the_layers_in_order_then_all_deploy_recipes_each_once(shop: Definition) -> None:
    assert run_list(shop.stack, "web1", "setup") == ["db::default", "web::setup", "web::default", "web::deploy"]
    assert run_list(shop.stack, "web2", "setup") == ["db::default", "web::default", "web::setup", "web::deploy"]
    assert run_list(shop.stack, "db1", "configure") == []


def test_an_unknown_event_or_instance_is_told(shop: Definition) -> None:
    with pytest.raises(UsageError, match="did you mean 'deploy'"):
        run_list(shop.stack, "web1", "deplyo")
    with pytest.raises(SelectorError, match="did you mean 'web1'"):
        run_list(shop.stack, "wbe1", "setup")


def test_apps_belong_to_the_instances_of_their_layers(shop: Definition) -> None:
    assert apps_of(shop.stack, "db1") == ["blog"]
    assert instances_of(shop.stack, "shop") == ["web1", "web2"]
    assert instances_in(shop.stack, "extra") == ["web1", "web2", "db1"]
    with pytest.raises(SelectorError, match="did you mean 'shop'"):
        instances_of(shop.stack, "shpo")


def test_the_words_are_those_of_the_lifecycle_and_of_the_protocol() -> None:
    from cookline.control.lifecycle.states import STATES as KNOWN
    from cookline.protocol import EVENTS as RUN_EVENTS

    assert sorted(KNOWN) == sorted(STATES)
    assert set(EVENTS) == set(RUN_EVENTS)
    assert set(LIFECYCLE_EVENTS) < set(EVENTS)
