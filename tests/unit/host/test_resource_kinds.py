"""What every kind owes: a docstring with an example that is true, documented fields, cases for its contract, clear mistakes."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from typing import Any

import pytest

import cookline
from cookline.errors import ResourceUsageError
from cookline.host.resources.base import Action, Resource
from tests.contract.cases import DIRECTORY, all_cases

BASES = ("Resource", "Action")


def exported(base: type) -> list[str]:
    modules = {name: importlib.import_module(module) for name, module in cookline.EXPORTS.items()}
    kinds = {name: getattr(module, name) for name, module in modules.items() if name not in BASES}
    return [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, base)]


KINDS = exported(Resource)
ACTIONS = exported(Action)
COMMON = set(Resource.__dataclass_fields__)
# Kinds whose state is a deed or an absence.
NOT_REMOVED = frozenset(
    {"Execute", "Absent", "PackageUpdates", "Script", "HttpRequest", "Reboot", "Hostname", "Timezone", "Locale"}
)


def test_actions() -> None:
    assert sorted(ACTIONS) == ["Notify", "Reload", "Restart", "Run"]


@pytest.mark.parametrize("name", KINDS + ACTIONS)
def test_docstring_has_an_example_that_is_true(name: str) -> None:
    kind = getattr(cookline, name)
    assert kind.__doc__, f"{name} has no docstring"
    (test,) = doctest.DocTestFinder(recurse=False).find(kind, name, globs={**vars(importlib.import_module(kind.__module__))})
    assert test.examples, f"{name} has no example"
    assert any(f"{name}(" in example.source for example in test.examples)
    output: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert result.failed == 0, "".join(output)


@pytest.mark.parametrize("name", KINDS)
def test_every_field_is_documented(name: str) -> None:
    kind = getattr(cookline, name)
    text = "\n".join(base.__doc__ or "" for base in kind.__mro__ if issubclass(base, Resource))
    for field in set(kind.__dataclass_fields__) - COMMON:
        assert re.search(rf"^ *(?:\w+, )*{field}\b|; {field}:", text, re.MULTILINE), f"{name}: {field} is not documented"


@pytest.mark.parametrize("name", [name for name in KINDS if name != "Reboot"])  # see tests/lab/test_reboot.py
def test_every_kind_has_cases_of_its_contract(name: str) -> None:
    cases = [case for case in all_cases() if case.kind == name]
    assert cases, f"{DIRECTORY / name} has no case"
    assert all(case.look or case.error for case in cases), "a case must look at the host"
    if getattr(cookline, name).has_state:
        assert any(case.break_ and case.drift for case in cases), f"no case of {name} drifts"
    if name not in NOT_REMOVED:
        assert any(case.remove and case.gone for case in cases), f"no case of {name} removes it"


def test_every_case_is_of_a_kind_and_makes_a_resource() -> None:
    for case in all_cases():
        assert case.kind in KINDS, f"{case.kind} is no kind"
        getattr(cookline, case.kind)(**case.resource)


@pytest.mark.parametrize("case", [case for case in all_cases() if not case.error], ids=lambda case: f"{case.kind}-{case.name}")
def test_a_declaration_is_json_and_makes_the_resource_again(case: Any) -> None:
    kind = getattr(cookline, case.kind)
    resource = kind(**case.resource)
    if case.kind in ("Template", "CookbookFile"):
        resource._set(content_sha256="0" * 64)
    if case.kind == "SystemdUnit" and resource.source:
        resource._set(_content="what the cookbook has")
    declaration = json.loads(json.dumps(resource.declaration()))
    again = kind.from_declaration(declaration)
    assert isinstance(again, Resource)
    assert json.loads(json.dumps(again.declaration())) == declaration


@pytest.mark.parametrize("name", KINDS)
def test_a_mistyped_field_names_the_right_one(name: str) -> None:
    kind = getattr(cookline, name)
    field = next(field for field in list(kind.__dataclass_fields__) if field not in COMMON and len(field) > 3)
    mistyped = field[:-1] + "x"
    with pytest.raises(ResourceUsageError, match=f"{name} has no field '{mistyped}'; did you mean '{field}'"):
        kind("x", **{mistyped: 1})


@pytest.mark.parametrize(
    ("kind", "values", "fields", "message"),
    [
        ("File", ["etc/motd"], {}, "needs an absolute path without '..', not 'etc/motd'"),
        ("File", ["/etc/../motd"], {}, "needs an absolute path without '..'"),
        ("File", ["/etc/motd"], {"mode": "rw-r--r--"}, "write it as four octal digits"),
        ("File", ["/etc/motd"], {"content": 7}, "content of type int"),
        ("File", ["/etc/motd"], {"verify": "true"}, r"`verify` needs %\{path\}"),
        ("Template", ["/etc/motd"], {"values": ["a"]}, "values must be a mapping"),
        ("Link", ["/etc/motd"], {}, "needs .to., what it points to"),
        ("Package", ["Nginx; rm"], {}, "not 'Nginx; rm'"),
        ("Package", [[]], {}, "needs a name"),
        ("Package", [["a1", "b1"]], {"version": "1"}, "only with one name"),
        ("Service", ["nginx"], {}, "manages nothing"),
        ("Service", ["../x"], {"running": True}, "name of a unit"),
        ("SystemdUnit", ["shop"], {"content": ""}, "with its suffix"),
        ("SystemdUnit", ["shop.service"], {}, "either content or source"),
        ("User", ["Shop"], {}, "small letters"),
        ("User", ["shop"], {"comment": "a:b"}, "colon"),
        ("Group", ["shop"], {"members": "ops"}, "list of members"),
        ("Cron", ["a.b", "x"], {}, "cron skips other files"),
        ("Cron", ["a"], {}, "needs a command"),
        ("Cron", ["a", "x"], {"minute": "* *"}, "crontab"),
        ("Execute", [""], {}, "needs a command"),
        ("AuthorizedKey", ["ops", "ssh-rsa nonsense"], {}, "needs a public key"),
        ("CaCertificate", ["x", "no PEM"], {}, "one certificate in PEM"),
        ("CaCertificate", ["x"], {}, "either content or source"),
        ("EnvironmentVariable", ["A B", "x"], {}, "letters, digits and _"),
        ("EnvironmentVariable", ["A", "a#b"], {}, "begins a comment"),
        ("EnvironmentVariable", ["A", "a\nb"], {"service": "x"}, "one line"),
        ("FirewallRule", ["web", "accept; drop"], {}, "one rule"),
        ("FirewallRule", ["web", "tcp dport { 80 accept"], {}, "one rule"),
        ("FirewallRule", ["web", "accept"], {"chain": "prerouting"}, "input, forward, output"),
        ("Git", ["/srv/x"], {}, "URL of a repository"),
        ("Git", ["/srv/x", "ext::sh -c x"], {}, "URL of a repository"),
        ("Git", ["/srv/x", "https://a:b@example.net/x"], {}, "password in its URL"),
        ("Git", ["/srv/x", "/r"], {"revision": "--upload-pack=x"}, "a branch, a tag or a whole hash"),
        ("Hostname", ["-x"], {}, "letters, digits and -"),
        ("HostsEntry", ["10.0.0", "db"], {}, "IP address"),
        ("HostsEntry", ["10.0.0.1", "d b"], {}, "names of hosts"),
        ("HttpRequest", ["file:///etc/passwd"], {}, "needs a URL"),
        ("HttpRequest", ["http://a:b@example.net/"], {}, "without a password"),
        ("HttpRequest", ["http://x/"], {"headers": {"A": "b\nC: d"}}, "line's end"),
        ("KernelModule", ["../x"], {}, "module's name"),
        ("Limits", ["shop", {"nofiles": 1}], {}, "did you mean 'nofile'"),
        ("Limits", ["shop", {"nofile": "many"}], {}, "a number"),
        ("Locale", ["German"], {"categories": {"TIME": "C"}}, "LC_TIME is one"),
        ("Logrotate", ["a.b", "/x"], {}, "letters, digits"),
        ("Logrotate", ["a", "x.log"], {}, "absolute paths"),
        ("Reboot", [""], {}, "needs a reason"),
        ("Script", ["x"], {}, "has no code"),
        ("Sudoers", ["a.b"], {"users": "x"}, "sudo skips other files"),
        ("Sudoers", ["x"], {}, "for nobody"),
        ("Sudoers", ["x"], {"users": "a\nb"}, "one line"),
        ("Sysctl", ["vm/../x", 1], {}, "needs a key"),
        ("Sysctl", ["vm.swappiness", True], {}, "0 and 1"),
        ("SystemdTimer", ["x.timer", "/bin/true"], {"calendar": "daily"}, "without a suffix"),
        ("SystemdTimer", ["x", "true"], {"calendar": "daily"}, "absolute path"),
        ("SystemdTimer", ["x", "/bin/true"], {}, "never runs"),
        ("Timezone", ["../x"], {}, "Europe/Berlin"),
        ("User", ["shop"], {"expires": "tomorrow"}, "2027-01-31"),
        ("User", ["shop"], {"locked": False, "password_hash": "!"}, "locked one"),
        ("LineInFile", ["/etc/motd", "a\nb"], {}, "has several"),
        ("LineInFile", ["/etc/motd", "a"], {"match": "("}, "no regular expression"),
        ("BlockInFile", ["/etc/motd", "# END cookline"], {}, "contains its own marker"),
        ("BlockInFile", ["/etc/motd", "a"], {"comment": ("a", "b", "c")}, "or a pair"),
        ("IniSetting", ["/etc/a", "s", "k"], {}, "needs a value for 'k'"),
        ("IniSetting", ["/etc/a", "s", "k", True], {}, "text or a number"),
        ("IniSetting", ["/etc/a", "s", "a=b", "1"], {}, "a key without '='"),
        ("IniSetting", ["/etc/a", "s]", "k", "1"], {}, "name of a section"),
        ("Absent", ["/usr/lib/"], {}, "does not remove /usr/lib, which the system needs"),
        ("Absent", ["/proc/1"], {}, "which the system needs"),
        ("Absent", ["/var/lib/cookline/runs"], {}, "cookline keeps its own files"),
        ("Mount", ["/", "/dev/sda1"], {}, "which the system mounts itself"),
        ("Mount", ["/srv"], {}, "needs a device"),
        ("SwapFile", ["/swap"], {}, "needs a size"),
        ("SwapFile", ["/swap", "2T"], {}, "needs a size such as '512M'"),
        ("RemoteDirectory", ["/etc"], {"purge": True}, "which the system needs"),
        ("RemoteFile", ["/opt/a"], {}, "needs a url"),
        ("RemoteFile", ["/opt/a", "ftp://a/b"], {}, "fetches http:// and https://"),
        ("RemoteFile", ["/opt/a", "https://me:secret@a/b"], {}, "give it as `headers`"),
        ("RemoteFile", ["/opt/a", "https://a/b"], {"sha256": "abc"}, "64 hexadecimal digits"),
        ("Archive", ["/opt/a"], {}, "needs a source"),
        ("Archive", ["/opt/a", "../a.tar"], {}, "with '..'"),
        ("Archive", ["/opt/a", "/a.tar"], {"strip": -1}, "strips a number of parts"),
        ("Package", ["nginx"], {"held": True, "exists": False}, "cannot hold what it removes"),
        ("AptRepository", ["a b", "http://a", "b"], {}, "needs a name of letters"),
        ("AptRepository", ["a"], {}, "needs uris and suites"),
        ("AptRepository", ["a", "http://a", "./"], {"components": "main"}, "has no components"),
        ("DnfRepository", ["a"], {}, "needs a baseurl"),
        ("PackageUpdates", ["some"], {}, "takes 'security' or 'all'"),
        ("Virtualenv", ["/srv/venv", ["a"]], {"pip": False}, "needs pip"),
        ("Virtualenv", ["/usr"], {}, "which the system needs"),
        ("Release", ["../x"], {}, "short name of an app"),
        ("Release", ["shop"], {"shared": {"../log": "log"}}, "no path in a release"),
    ],
)
def test_wrong_values_are_told_in_words(kind: str, values: list[Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ResourceUsageError, match=message):
        getattr(cookline, kind)(*values, **fields)


def test_a_resource_is_a_frozen_value() -> None:
    first, second = cookline.Package("nginx"), cookline.Package(names="nginx")
    assert first == second and hash(first) == hash(second)
    assert first != cookline.Package("nginx", exists=False)
    assert first != cookline.Service("nginx", running=True)
    with pytest.raises(AttributeError, match=r"Package is frozen; use replace\(names=..\)"):
        first.names = "apache2"  # type: ignore[misc]
    assert first.replace(exists=False) == cookline.Package("nginx", exists=False)
