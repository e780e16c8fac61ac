"""Who wins: the levels, the merge, and the explanation that must agree with it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookline.control.stack.attributes import LEVELS, explain, levels, merge, merged_attributes
from cookline.control.stack.checks import check_event_attributes
from cookline.control.stack.loading import Definition
from cookline.errors import SelectorError, StackError

keys = st.sampled_from("abcd")
leaves = st.one_of(
    st.integers(0, 9), st.text("xyz", max_size=2), st.booleans(), st.none(), st.lists(st.integers(0, 3), max_size=2)
)
trees: st.SearchStrategy[Any] = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=12)
mappings = st.dictionaries(keys, trees, max_size=4)


def test_levels_stand_from_low_to_high_and_layers_in_the_order_of_the_instance(shop: Definition) -> None:
    found = [(level.level, level.name) for level in levels(shop, "web2", app="shop", event_attributes={"shop": {"x": 1}})]
    own = [pair for pair in found if pair[0] != "cookbook default"]
    assert own == [
        ("stack", "shop"),
        ("layer", "extra"),
        ("layer", "web"),
        ("instance", "web2"),
        ("app", "blog"),
        ("app", "shop"),
        ("event", ""),
    ]
    assert [level for level in LEVELS if level in dict(found)] == list(LEVELS)


def test_mappings_merge_and_lists_replace(shop: Definition) -> None:
    merged = merged_attributes(shop, "web1")
    assert merged["web"]["hosts"] == ["b.example"]
    assert merged["web"]["port"] == 81
    assert merged["web"]["mode"] == "safe"
    assert merged["web"]["tls"]["versions"] == ["1.2", "1.3"]
    assert merged["shop"]["list"] == [3]


def test_the_later_layer_of_an_instance_wins(shop: Definition) -> None:
    assert merged_attributes(shop, "web2")["web"]["hosts"] == ["a.example"]


def test_the_deployed_app_wins_over_the_other_apps_and_the_event_over_all(shop: Definition) -> None:
    assert merged_attributes(shop, "web1", app="blog")["shop"]["colour"] == "green"
    assert merged_attributes(shop, "web1", app="shop")["shop"]["colour"] == "blue"
    assert merged_attributes(shop, "web1", event_attributes={"shop": {"colour": "pink"}})["shop"]["colour"] == "pink"
    assert merged_attributes(shop, "db1")["shop"]["colour"] == "green"


def test_explain_tells_every_level_with_its_line(shop: Definition) -> None:
    explanation = explain(shop, "web.port", "web1", event_attributes={"web": {"port": 99}})
    assert explanation.value == 99
    told = [(each.level, each.name, each.value, each.position.rpartition("/")[2]) for each in explanation.losers]
    assert (explanation.winner.level, explanation.winner.value) == ("event", 99)
    assert told == [
        ("layer", "extra", 81, "shop.yml:12:44"),
        ("stack", "shop", 8080, "shop.yml:3:9"),
        ("cookbook default", "web", 80, "cookbook.yml:5:3"),
    ]


def test_explain_shows_a_secret_as_its_reference(shop: Definition) -> None:
    assert explain(shop, "db.password", "web1").value == "!secret generated:database"
    assert explain(shop, "web.tls", "web1").value["certificate"] == "!secret env:CERTIFICATE"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("web.prot", "did you mean 'port'"), ("wbe", "did you mean 'web'"), ("web.port.x", "has no attribute 'x'"), ("", "''")],
)
def test_an_unknown_attribute_is_told_with_the_nearest(shop: Definition, path: str, sentence: str) -> None:
    with pytest.raises(SelectorError, match=sentence):
        explain(shop, path, "web1")


def test_a_key_may_hold_dots(load: Callable[..., Definition]) -> None:
    definition = load(
        "stack: s\nattributes: {shop: {files: {site.conf: 1}}}\nlayers: {a: {}}\napps: {shop: {layers: [a]}}\n"
        "instances: {x: {layers: [a], address: h}}\n"
    )
    assert explain(definition, "shop.files.site.conf", "x").value == 1


def test_attributes_of_an_event_are_checked_like_those_of_the_stack(shop: Definition) -> None:
    check_event_attributes(shop, {"web": {"port": 81}, "shop": {"anything": 1}}, "--attributes")
    with pytest.raises(StackError) as caught:
        check_event_attributes(shop, {"web": {"port": "81"}, "wbe": {}}, "--attributes")
    assert [problem.partition(": ")[2] for problem in caught.value.problems] == [
        "attribute web.port wants a whole number, not the text '81'",
        "attributes belong to a cookbook or an app, and 'wbe' is neither; did you mean 'web'?",
    ]


def test_who_changes_merged_attributes_does_not_change_the_definition(shop: Definition) -> None:
    merged_attributes(shop, "web1")["web"]["hosts"].append("changed")
    merged_attributes(shop, "web1")["web"]["tls"]["versions"].clear()
    again = merged_attributes(shop, "web1")
    assert again["web"]["hosts"] == ["b.example"]
    assert again["web"]["tls"]["versions"] == ["1.2", "1.3"]


@given(mappings)
def test_merging_with_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == tree == merge({}, tree)


@given(mappings)
def test_merging_with_itself_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, tree) == tree


@given(mappings, mappings)
def test_the_higher_level_always_has_its_way(low: dict[str, Any], high: dict[str, Any]) -> None:
    def holds(merged: Any, wanted: Any) -> bool:
        if isinstance(wanted, dict) and isinstance(merged, dict):
            return all(key in merged and holds(merged[key], value) for key, value in wanted.items())
        return bool(merged == wanted)

    merged = merge(low, high)
    assert holds(merged, high)
    assert set(merged) == set(low) | set(high)


@given(mappings, mappings)
def test_what_only_the_lower_level_says_stays(low: dict[str, Any], high: dict[str, Any]) -> None:
    merged = merge(low, high)
    assert all(merged[key] == value for key, value in low.items() if key not in high)
