"""What makes a converge fail although its run succeeded: a plan that was wrong, a second run that changes something."""

from __future__ import annotations

from cookline.kitchen.converging import mismatches, not_idempotent


def event(kind, name="File[/a]", **more):
    return {"kind": kind, "name": name, "recipe": "web::default", "line": "cookbooks/web/recipes/default.py:5", **more}


def test_a_plan_that_keeps_its_word_is_good():
    planned = [event("will_change"), event("will_not", "File[/b]"), event("cannot_know", "Service[c]")]
    ran = [event("changed"), event("unchanged", "File[/b]"), event("unchanged", "Service[c]")]
    assert mismatches(planned, ran) is None


def test_a_change_that_was_not_foretold_is_named_with_its_line():
    said = mismatches([event("will_not")], [event("changed")])
    assert said is not None
    assert "File[/a] (cookbooks/web/recipes/default.py:5): planned will not, the run says changed" in said


def test_a_foretold_change_that_did_not_come_is_named():
    said = mismatches([event("will_change")], [event("unchanged")])
    assert said is not None and "planned will change, the run says unchanged" in said


def test_resources_that_depend_on_an_open_question_may_come_unplanned():
    ran = [event("changed"), event("changed", "File[/new]")]
    assert mismatches([event("cannot_know")], ran) is None
    assert mismatches([event("will_change")], ran) is not None


def test_a_second_converge_names_what_it_changed_and_shows_the_difference():
    changed = event("changed", changes=[{"field": "content", "from": "1", "to": "2"}], diff="-old\n+new")
    said = not_idempotent([event("unchanged", "File[/b]"), changed])
    assert said is not None
    assert "File[/a] (cookbooks/web/recipes/default.py:5): content" in said and "+new" in said and "/b" not in said
    assert not_idempotent([event("unchanged")]) is None
