"""Save and see, and testinfra on the hosts of a pushed stack: each as a user does it, on a real host."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project, read_until
from tests.lab.hosts import LabHost

SETUP = """
    def recipe(node):
        node.ensure(Template("/etc/told"), later=Run("echo told >> /root/actions"))
"""
TEST = """
def test_the_file_is_there(host, instance, stack):
    assert host.file("/etc/told").exists
    assert [each.name for each in stack.instances(layer="web", online=True)] == [instance.name]
"""


@pytest.fixture
def project(host: LabHost, tmp_path: Path) -> Project:
    made = Project(tmp_path, [host], recipes={"setup": SETUP}).write()
    for path, text in {"templates/told.j2": "one\n", "tests/test_told.py": TEST}.items():
        target = tmp_path / "cookbooks/test" / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    made.good("push", "test.yml")
    made.good("setup", "test")
    return made


@contextlib.contextmanager
def watching(project: Project) -> Iterator[subprocess.Popen[str]]:
    """The command in the background; a test that fails does not wait for it."""
    with project.begin("watch", "test.yml", "--on", "layer:web") as process:
        try:
            read_until(process, "watching test.yml")
            yield process
        finally:
            process.kill()


def test_a_save_is_on_the_host_with_its_difference_and_its_tests_and_an_error_with_its_line(
    host: LabHost, project: Project
) -> None:
    book = project.folder / "cookbooks/test"
    with watching(project) as process:
        (book / "templates/told.j2").write_text("two\n")
        seen = read_until(process, "tests passed")
        assert "+ Template[/etc/told]" in seen and "-one" in seen and "+two" in seen and "! Run[echo told" in seen
        assert host.run("cat /etc/told").stdout == "two\n"

        (book / "templates/told.j2").write_text("{{ twoo }}\n")
        seen = read_until(process, "cookbooks/test/recipes/setup.py")
        assert "cookbooks/test/templates/told.j2:1: 'twoo' is undefined" in seen and ">    1 {{ twoo }}" in seen

        (project.folder / "test.yml").write_text("{")
        assert "test.yml:1:" in read_until(process, "test.yml:1:")
        project.write()
        read_until(process, "still: ")
        (book / "templates/told.j2").write_text("three\n")
        assert "+three" in read_until(process, "tests passed")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert host.run("cat /etc/told").stdout == "three\n"
    assert len(project.good("status", "test", "--json").json["unfinished"]) == 0


def test_testinfra_finds_the_hosts_of_a_pushed_stack(project: Project) -> None:
    tests = str(project.folder / "cookbooks/test/tests")
    line = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", "-p", "cookline.kitchen.plugin", tests]

    def pytest_on(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*line, *words], cwd=project.folder, env=project.environment, capture_output=True, text=True)

    done = pytest_on("--stack", "test.yml", "--layer", "web")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    mistyped = pytest_on("--stack", "test", "--layer", "wep")
    assert mistyped.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean 'web'?" in mistyped.stderr
