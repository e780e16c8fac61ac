"""What the kitchen writes down of its hosts, and who may work on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cookline.errors import Locked, UsageError
from cookline.kitchen.hosts import Hosts
from cookline.kitchen.locks import holding
from cookline.kitchen.record import Record, Records


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / ".cookline" / "kitchen")


def test_two_commands_never_work_on_one_host_and_the_second_is_told_of_the_first(records):
    with holding(records, ["web1", "web2"]):
        with (
            pytest.raises(Locked, match=r"web2 is being worked on by process \d+ since .*: cookline"),
            holding(records, ["web2"]),
        ):
            pass
        with holding(records, ["web3"]):
            pass
    with holding(records, ["web2"]):
        pass
    assert list(records.locks.iterdir()) == []


def test_a_host_whose_lock_is_refused_leaves_the_others_free(records):
    with holding(records, ["web2"]):
        with pytest.raises(Locked), holding(records, ["web1", "web2"]):
            pass
        with holding(records, ["web1"]):
            pass


def test_what_the_kitchen_keeps_is_for_its_owner_alone(records):
    with holding(records, ["web1"]):
        pass
    folders = [records.directory.parent, records.directory, records.hosts, records.logs, records.locks]
    assert [oct(folder.stat().st_mode & 0o777) for folder in folders] == ["0o700"] * 5


def test_a_host_is_forgotten_alone_and_its_log_stays(records):
    for name in ("web1", "web1.b"):
        records.save(Record(name, state="created"))
        records.begin_log(name)
        records.log(name, {"kind": "phase", "phase": "converge"})
        (records.reports / f"{name}.junit.xml").touch()
    records.forget("web1")
    assert [record.name for record in records.all()] == ["web1.b"]
    assert [path.name for path in records.reports.iterdir()] == ["web1.b.junit.xml"]
    assert [event["phase"] for event in records.read_log("web1")] == ["converge"]
    assert records.logged() == ["web1", "web1.b"]


def test_a_host_of_another_provider_or_with_other_settings_is_not_taken_for_the_one_that_is_asked_for(records):
    hosts = Hosts(records)
    made = records.save(Record("web1", state="created", provider="container", settings={"image": "debian-12"}))
    hosts.check("web1", "container", {"image": "debian-12"})
    hosts.check("web2", "static", {"address": "192.0.2.1"})
    with pytest.raises(UsageError, match=r"made by the provider container, not static\n  cookline kitchen destroy web1"):
        hosts.check("web1", "static", {"address": "192.0.2.1"})
    with pytest.raises(UsageError, match="made with other settings: packages changed since"):
        hosts.check("web1", "container", {"image": "debian-12", "packages": ["nginx"]})
    records.save(replace(made, state="absent"))
    hosts.check("web1", "container", {"image": "debian-13"})
