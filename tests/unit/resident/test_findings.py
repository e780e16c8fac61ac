import json

import pytest

from cookline.host.resident.findings import DAMPING_SECONDS, Findings, exclusively

NAME = "File[/etc/motd]"


def finding(found="b", name=NAME):
    return {"resource": name, "differences": [{"field": "content", "expected": "a", "found": found}]}


class Host:
    """One host's findings over time: `look` is a look at the one resource at a moment, with or without a difference."""

    def __init__(self, path):
        self.path = path

    def look(self, now, found=None, by="timer", declared=(NAME,), looked_at=(NAME,)):
        findings = Findings(self.path)
        records, held = findings.update({NAME: finding(found)} if found else {}, looked_at, declared, by, now)
        findings.save()
        return records, held

    @property
    def open(self):
        return Findings(self.path).open


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path / "findings.json"))


def test_a_finding_is_told_once_and_keeps_since_and_who_saw_it_first(host):
    (first,), _ = host.look(1000, "b", by="watch")
    assert (first["since"], first["detected_by"]) == (1000, "watch")
    assert host.look(5000, "b", by="timer") == ([], {})
    assert host.open[NAME]["since"] == 1000 and host.open[NAME]["seen"] == 5000


def test_a_finding_that_goes_away_is_told_as_cleared(host):
    host.look(1000, "b")
    (ended,), _ = host.look(2000)
    assert (ended["resource"], ended["since"], ended["cleared"]) == (NAME, 1000, 2000)
    assert host.open == {} and host.look(3000) == ([], {})


def test_a_finding_that_comes_back_has_a_new_since(host):
    host.look(1000, "b")
    host.look(2000)
    (again,), _ = host.look(3000, "b")
    assert again["since"] == 3000


def test_a_finding_that_changes_is_told_again_with_its_first_since(host):
    host.look(1000, "b")
    (changed,), _ = host.look(2000, "c")
    assert changed["since"] == 1000 and changed["differences"][0]["found"] == "c"


def test_a_resource_that_is_no_longer_declared_has_no_finding(host):
    host.look(1000, "b")
    (ended,), _ = host.look(2000, declared=(), looked_at=())
    assert ended["cleared"] == 2000


def test_a_look_at_others_leaves_a_finding_alone(host):
    host.look(1000, "b")
    assert host.look(2000, looked_at=("File[/other]",), declared=(NAME, "File[/other]")) == ([], {})
    assert NAME in host.open


def test_a_resource_that_flaps_is_told_of_once_a_minute_and_in_the_end_as_it_is(host):
    told = []
    for second in range(0, 180):
        records, held = host.look(10_000 + second, "b" if second % 2 == 0 else None)
        told += records
    assert len(told) <= 180 / DAMPING_SECONDS + 1
    records, held = host.look(10_200)
    told += records
    assert "cleared" in told[-1] and not held and host.open == {}


def test_what_is_held_back_says_for_how_long(host):
    host.look(1000, "b")
    records, held = host.look(1010)
    assert records == [] and held == {NAME: 50.0}
    (ended,), held = host.look(1061)
    assert "cleared" in ended and not held


def test_a_clock_that_was_set_back_does_not_silence_findings_for_ever(host):
    host.look(1_000_000, "b")
    (ended,), _ = host.look(500)
    assert "cleared" in ended


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", json.dumps({"findings": {}, "told": {"a": 1}, "checked": {}})])
def test_broken_findings_are_begun_anew(host, content):
    with open(host.path, "w") as file:
        file.write(content)
    with exclusively(host.path):
        assert len(host.look(1000, "b")[0]) == 1
