"""A cookbook's own facts: read when asked for, once a run, in plans and on fake hosts; mistakes with the author's own line."""

from __future__ import annotations

from cookline.kitchen import converge
from tests.unit.run.conftest import Kitchen

FACT = """
    def fact(host):
        content = host.read("{path}")
        return {{"colour": content.decode(), "sizes": [1, 2]}}
"""
READS = """
    def recipe(node):
        node.log(node.facts.shop.paint.colour + str(node.facts.shop.paint.sizes))
        node.log(node.facts["shop"]["paint"]["colour"])
"""


def logs(events: list[dict[str, object]]) -> list[object]:
    return [event["text"] for event in events if event["kind"] == "log"]


def test_a_fact_is_read_in_runs_and_plans(kitchen: Kitchen) -> None:
    path = kitchen.etc / "colour"
    path.write_text("red")
    kitchen.recipe(READS, **{"facts/paint.py": FACT.format(path=path), "facts/unread.py": "raise RuntimeError('nobody asked')"})
    for apply in (True, False):
        events = kitchen.run(apply=apply)
        assert (events[-1]["outcome"], logs(events)) == ("successful", ["red[1, 2]", "red"])


def test_a_template_is_rendered_again_when_a_fact_that_it_reads_has_changed(kitchen: Kitchen) -> None:
    path = kitchen.etc / "colour"
    recipe = """
        from cookline.host.resources.template import Template

        def recipe(node):
            node.ensure(Template(node["etc"] + "/file", source="file.j2", owner=None))
    """
    files = {"facts/paint.py": FACT.format(path=path), "templates/file.j2": "{{ node.facts.shop.paint.colour }}"}
    kitchen.recipe(recipe, **files)
    for colour, kind in (("red", "changed"), ("red", "unchanged"), ("green", "changed")):
        path.write_text(colour)
        events = kitchen.run()
        assert [event["kind"] for event in events if str(event.get("name", "")).startswith("Template")][-1] == kind
        assert (kitchen.etc / "file").read_text() == colour


def test_what_an_author_does_wrong_is_told_with_the_line(kitchen: Kitchen) -> None:
    cases = {
        "def fact(host):\n    return int('x')\n": [
            "ValueError: invalid literal",
            "at cookbooks/shop/facts/paint.py:2",
            ">    2",
        ],
        "def fact(host):\n    return {1, 2}\n": ["cookbooks/shop/facts/paint.py must return JSON values"],
        "x = 1\n": ["cookbooks/shop/facts/paint.py defines no fact", "write `def fact(host: System) -> ..:`"],
        "def fact(host:\n": ["cookbooks/shop/facts/paint.py:1: ", "def fact(host:"],
    }
    for text, expected in cases.items():
        kitchen.recipe(READS, **{"facts/paint.py": text})
        error = str(kitchen.run()[-1]["error"])
        assert all(part in error for part in expected) and "cookline/host" not in error, error
    kitchen.recipe("def recipe(node):\n    node.facts.shop.pain\n", **{"facts/paint.py": "def fact(host): return 1\n"})
    assert "cookbook 'shop' has no fact 'pain'; did you mean 'paint'?" in str(kitchen.run()[-1]["error"])


def test_a_plan_lets_no_fact_write(kitchen: Kitchen) -> None:
    kitchen.recipe(READS, **{"facts/paint.py": f"def fact(host):\n    open('{kitchen.etc}/x', 'w')\n"})
    error = str(kitchen.run(apply=False)[-1]["error"])
    assert "cookbooks/shop/facts/paint.py:2: a plan must not change anything" in error
    assert not (kitchen.etc / "x").exists()


def test_a_cookbook_cannot_take_the_name_of_a_fact(kitchen: Kitchen) -> None:
    kitchen.cookbook("users", {"facts/paint.py": "def fact(host): return 1", "recipes/default.py": "def recipe(node): pass"})
    kitchen.recipe("def recipe(node):\n    node.facts.shop\n", **{"facts/paint.py": "def fact(host): return 1\n"})
    assert "the facts of cookbook 'users' cannot be told from the fact 'users'" in str(kitchen.run()[-1]["error"])


def test_a_fake_host_has_the_example_or_what_the_test_gives(tmp_path) -> None:  # type: ignore[no-untyped-def]
    book = tmp_path / "cookbooks" / "shop"
    for name in ("recipes", "facts"):
        (book / name).mkdir(parents=True)
    (book / "cookbook.yml").write_text("name: shop\nversion: 1.0.0\n")
    (book / "recipes" / "default.py").write_text("def recipe(node):\n    node.log(node.facts.shop.paint.colour)\n")
    fact = (
        "EXAMPLE = {'colour': 'blue'}\n\ndef fact(host):\n    return {'colour': host.run('paint --colour').stdout.split()[1]}\n"
    )
    (book / "facts" / "paint.py").write_text(fact)
    assert converge("shop", cookbooks=tmp_path / "cookbooks").logs == ["blue"]
    given = {"shop": {"paint": {"colour": "red"}}}
    assert converge("shop", cookbooks=tmp_path / "cookbooks", facts=given).logs == ["red"]
