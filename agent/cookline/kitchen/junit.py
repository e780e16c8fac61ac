"""JUnit XML of a kitchen command: one testsuite for each host; a testcase for each run of a converge and each test."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from cookline.kitchen.result import Result

# XML 1.0 has no place for these, not even escaped; output of hosts may hold them.
UNSTORABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, results: Sequence[Result]) -> None:
    root = ElementTree.Element("testsuites", name="cookline kitchen")
    for result in results:
        failures = sum(check.failure is not None for check in result.checks)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=result.name,
            tests=str(len(result.checks)),
            failures=str(failures),
            errors="0",
            time=f"{sum(check.seconds for check in result.checks):.3f}",
        )
        for check in result.checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=result.name, name=check.name, time=f"{check.seconds:.3f}"
            )
            if check.failure is not None:
                text = UNSTORABLE.sub("?", check.failure)
                ElementTree.SubElement(case, "failure", message=text.splitlines()[0] if text else "failed").text = text
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
