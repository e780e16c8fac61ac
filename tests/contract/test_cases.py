"""The cases leave nothing out: each field of each kind is given and repaired, and undo is proven where it is claimed."""

from __future__ import annotations

from typing import Any

import pytest

import cookline
from cookline.host.resources.base import Resource
from tests.contract.cases import Case, all_cases
from tests.unit.host.test_resource_kinds import COMMON, KINDS

# KIND.FIELD -> why no case gives it.
NOT_GIVEN = {
    "AptRepository.key_file": "filled in",
    "AptRepository.key_sha256": "filled in",
    "Archive.sha256": "the archives of the cases have another hash each time that they are made; see test_archives",
    "CaCertificate.source": "read as SystemdUnit's is",
    "DnfRepository.mirrorlist": "written as `metalink` is",
    "CookbookFile.create_if_missing": "File's own",
    "Git.commit": "filled in",
    "Git.deploy_key": "no private key lies in a case; its checks are in test_resource_kinds",
    "Git.known_hosts": "goes with `deploy_key`",
    "HttpRequest.ca_file": "the hosts of the cases serve no HTTPS",
    "Release.artifact": "the cases have theirs from the controller, as applications do",
    "Release.artifact_hash": "filled in",
    "RemoteDirectory.files": "filled in",
    "RemoteFile.create_if_missing": "File's own",
    "RemoteFile.ca": "the hosts of the cases serve no HTTPS",
    "RemoteFile.proxy": "see test_downloads",
    "Template.create_if_missing": "File's own",
    "Virtualenv.find_links": "the hosts of the cases have no pip; see test_virtualenv",
    "Virtualenv.index_url": "the hosts of the cases have no pip; see test_virtualenv",
    "ManagedFile.content_sha256": "filled in",
}
# What a run reports to have changed -> why no case changes it by hand.
NOT_REPAIRED = {
    "Archive.archive": "drift looks at what was unpacked, not at the archive, which may be gone",
    "Virtualenv.python": "the hosts of the cases have one Python",
}
# Made or not is its own repair; a deed has no state.
WITHOUT_REPAIR = ("exists", "executed")

CASES = all_cases()
IN_CASES = [name for name in KINDS if name != "Reboot"]  # see tests/lab/test_reboot.py


def cases_of(name: str) -> list[Case]:
    return [case for case in CASES if case.kind == name]


def fields_of(name: str) -> list[str]:
    kind = getattr(cookline, name)
    given = NOT_GIVEN.keys()
    bases = {base.__name__ for base in kind.__mro__}
    skipped = {entry.rpartition(".")[2] for entry in given if entry.partition(".")[0] in bases}
    return [field for field in kind.__dataclass_fields__ if field not in COMMON | skipped]


def reported(case: Case, changed: Any) -> str:
    """The field that a change is of: "content" of "a/b", "mode" of "a/b: mode" where a kind has many files."""
    if case.kind == "RemoteDirectory" and ":" not in changed and changed != "others":
        return "content"
    return str(changed).rpartition(": ")[2]


@pytest.mark.parametrize("name", IN_CASES)
def test_each_field_is_given_by_a_case(name: str) -> None:
    given = {field for case in cases_of(name) for field in (*case.resource, *case.remove)}
    assert [field for field in fields_of(name) if field not in given] == []


@pytest.mark.parametrize("name", IN_CASES)
def test_each_field_is_repaired_by_a_case(name: str) -> None:
    made, repaired = set(), {*WITHOUT_REPAIR, *(entry.partition(".")[2] for entry in NOT_REPAIRED if entry.startswith(name))}
    for case in cases_of(name):
        for changed, values in case.changes.items():
            made.add(reported(case, changed))
            if isinstance(values, list) and values[0] not in (None, False):
                repaired.add(reported(case, changed))
        repaired |= {reported(case, each) for each in case.drift}
    assert made - repaired == set()


@pytest.mark.parametrize("name", IN_CASES)
def test_undo_is_proven_where_it_is_claimed(name: str) -> None:
    """A kind that can be undone has a case that is; another says in each of its cases why it cannot."""
    claims = getattr(cookline, name).inverse is not Resource.inverse
    undone = [case for case in cases_of(name) if not case.error and not case.not_undone]
    assert claims == bool(undone)


def test_exemptions_are_of_fields_that_there_are() -> None:
    for entry in NOT_GIVEN:
        name, field = entry.split(".")
        if name in KINDS:
            assert field in getattr(cookline, name).__dataclass_fields__, entry
            assert not any(field in case.resource for case in cases_of(name)), f"{entry} is given by a case"
