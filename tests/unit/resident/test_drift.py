import fcntl
import json
import os

import pytest

from cookline.errors import HostStateError, Locked
from cookline.host import paths
from cookline.host.resident import drift, inventory
from cookline.host.resident.drift import MASK, Places, look
from cookline.host.resident.spool import Spool
from cookline.host.resources.file import File
from cookline.host.system import System


class Host:
    """A directory that was converged once, with its inventory, findings and spool."""

    def __init__(self, root):
        self.root = str(root)
        self.places = Places(*(f"{self.root}/{name}" for name in ("inventory.json", "findings.json", "spool", "agent.json")))

    def converge(self, *resources, **options):
        declarations = {}
        for resource in resources:
            desired = resource.desired()
            resource.apply(System(), {name: (None, value) for name, value in desired.items()})
            declarations[resource.name] = {
                "kind": type(resource).__name__,
                "module": type(resource).__module__,
                "declaration": resource.declaration(),
                "desired": desired,
                "paths": resource.watched_paths(),
                "recipe": "base::default",
                "line": 7,
                "sensitive": resource.sensitive,
            }
        inventory.record_run("run1", "setup", ["base::default"], declarations, path=self.places.inventory, **options)

    def file(self, name, content="declared\n", **fields):
        return File(f"{self.root}/{name}", content, mode="0644", backup=False, **fields)

    def change(self, name, content="changed\n"):
        with open(f"{self.root}/{name}", "w") as file:
            file.write(content)

    def look(self, by="timer", names=None):
        return look(by, names, self.places)

    def records(self):
        return [record["data"] for record in Spool(self.places.spool).read()]


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LOCK", str(tmp_path / "lock"))
    return Host(tmp_path)


def test_a_host_that_is_as_declared_has_no_finding(host):
    host.converge(host.file("a"), host.file("b"))
    seen = host.look()
    assert (seen.found, seen.declarations) == ([], 2) and host.records() == []


def test_a_finding_says_what_was_expected_and_found_and_who_declared_it(host):
    host.converge(host.file("a"))
    os.chmod(f"{host.root}/a", 0o600)
    (finding,) = host.look("manual").found
    assert finding["resource"] == f"File[{host.root}/a]"
    assert finding["differences"] == [{"field": "mode", "expected": "0644", "found": "0600"}]
    assert (finding["recipe"], finding["line"], finding["run"]) == ("base::default", 7, "run1")
    assert (finding["detected_by"], finding["label"]) == ("manual", "corrective")


def test_contents_are_compared_by_hash_and_never_shown(host):
    host.converge(host.file("a"))
    host.change("a", "somebody else's text\n")
    (finding,) = host.look().found
    assert [difference["field"] for difference in finding["differences"]] == ["content"]
    assert "somebody" not in json.dumps(finding)


def test_nothing_is_changed_by_looking(host):
    host.converge(host.file("a"))
    host.change("a")
    before = os.stat(f"{host.root}/a")
    host.look()
    assert os.stat(f"{host.root}/a").st_mtime_ns == before.st_mtime_ns


def test_news_goes_to_the_spool_once(host):
    host.converge(host.file("a"))
    host.change("a")
    host.look("watch")
    host.look("timer")
    (record,) = host.records()
    assert record["detected_by"] == "watch"


def test_only_the_named_are_looked_at(host):
    host.converge(host.file("a"), host.file("b"))
    host.change("a")
    host.change("b")
    seen = host.look("watch", [f"File[{host.root}/b]", "File[/never/declared]"])
    assert [finding["resource"] for finding in seen.found] == [f"File[{host.root}/b]"] and seen.declarations == 1


def test_a_sensitive_resource_shows_no_values(host):
    host.converge(host.file("a", sensitive=True))
    os.chmod(f"{host.root}/a", 0o600)
    (finding,) = host.look().found
    assert finding["differences"] == [{"field": "mode", "expected": MASK, "found": MASK}]


def test_secrets_of_the_runs_are_masked_by_value(host):
    os.mkdir(f"{host.root}/s3cr3t-value")
    host.converge(host.file("s3cr3t-value/a"), secrets=["s3cr3t-value"])
    host.change("s3cr3t-value/a")
    host.look()
    told = [{**record, "resource": ""} for record in host.records()]
    assert told and "s3cr3t-value" not in json.dumps(told)


def test_own_writes_of_a_run_are_not_looked_at(host):
    host.converge(host.file("a"))
    with open(paths.LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"run": "R1", "event": "setup", "stack": "shop", "since": 0}))
        lock.flush()
        host.change("a")
        with pytest.raises(Locked, match="run R1"):
            host.look()
        os.ftruncate(lock.fileno(), 0)
    assert len(host.look().found) == 1


def test_what_a_killed_run_left_in_the_lock_does_not_hide_drift(host):
    host.converge(host.file("a"))
    host.change("a")
    with open(paths.LOCK, "w") as lock:
        lock.write(json.dumps({"run": "R1"}))
    assert len(host.look().found) == 1


def test_a_run_that_ends_during_a_look_makes_it_look_anew(host, monkeypatch):
    host.converge(host.file("a"))
    real_examine, looks = drift.examine, []

    def examine(*arguments):
        looks.append(arguments)
        found = real_examine(*arguments)
        if len(looks) == 1:
            host.converge(host.file("a", "newer\n"))
        return found

    monkeypatch.setattr(drift, "examine", examine)
    assert host.look().found == [] and len(looks) == 2


def test_a_declaration_that_cannot_be_read_any_more_is_a_finding_that_says_why(host):
    host.converge(host.file("a"))
    content = inventory.read(host.places.inventory)
    content["declarations"][f"File[{host.root}/a]"]["module"] = "cookbooks.gone.resources.thing"
    inventory.write(content, host.places.inventory)
    (finding,) = host.look().found
    assert "ModuleNotFoundError" in finding["differences"][0]["found"]


def test_a_broken_inventory_is_an_error_with_a_way_out(host):
    host.change("inventory.json", "{")
    with pytest.raises(HostStateError, match="drift is not known"):
        host.look()


def test_a_removed_file_is_found_and_its_return_is_told(host, monkeypatch):
    monkeypatch.setattr("cookline.host.resident.findings.DAMPING_SECONDS", 0)
    host.converge(host.file("a"))
    os.unlink(f"{host.root}/a")
    (finding,) = host.look().found
    assert {"field": "exists", "expected": True, "found": False} in finding["differences"]
    host.converge(host.file("a"))
    assert host.look().found == []
    assert "cleared" in host.records()[-1]


def test_an_own_resource_is_read_from_the_cookbook_that_declared_it(host, monkeypatch):
    monkeypatch.setattr(paths, "TREES", f"{host.root}/trees")
    tree = f"{host.root}/trees/abc/resources"
    os.makedirs(tree)
    with open(f"{tree}/thing.py", "w") as file:
        file.write(
            "from cookline import Resource\n"
            "class Thing(Resource):\n"
            "    name_: str\n"
            "    def current(self, host):\n"
            "        return {'there': False}\n"
        )
    entry = {"kind": "Thing", "module": "cookbooks.base.resources.thing", "trees": {"base": f"{host.root}/trees/abc"}}
    entry.update(declaration={"name_": "x"}, desired={"there": True}, paths=[], recipe="base::default", line=1)
    inventory.record_run("run1", "setup", ["base::default"], {"Thing[x]": entry}, path=host.places.inventory)
    (finding,) = host.look().found
    assert finding["differences"] == [{"field": "there", "expected": True, "found": False}]
