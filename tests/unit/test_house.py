"""The house stands: arrows run one way, the host wing stays light, the public names are the tested list."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import cookline

ROOT = Path(cookline.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))

# room -> rooms it may import from (besides itself); the longest matching name is a file's room
ARROWS = {
    "cookline": {"cookline.host"},
    "cookline.errors": set(),
    "cookline.protocol": {"cookline.errors"},
    "cookline.host": {"cookline.protocol", "cookline.errors"},
    "cookline.cloudwatch": {"cookline.errors"},
    "cookline.control": {"cookline.protocol", "cookline.errors", "cookline.cloudwatch"},
    "cookline.kitchen": {"cookline.control", "cookline.host", "cookline.protocol", "cookline.errors"},
    "cookline.cli": {
        "cookline.kitchen",
        "cookline.control",
        "cookline.host",
        "cookline.cloudwatch",
        "cookline.protocol",
        "cookline.errors",
    },
}
INSIDE_CONTROL = {
    "server": {"lifecycle", "providers", "transport", "store", "stack"},
    "lifecycle": {"providers", "transport", "store", "stack"},
    "providers": {"stack"},
    "transport": {"stack"},
    "sources": {"stack"},
    "store": {"stack"},
    "stack": set(),
}
# who alone may import what
ONE_IMPORTER = {
    "dbos": {"control/lifecycle/engine.py"},
    "paramiko": {"control/transport/ssh/"},
    "yaml": {"control/stack"},
    "pydantic": {"control/stack", "control/server"},
}
HOST_WING = ("host", "errors.py", "protocol.py", "__init__.py")
HOST_LIBRARIES = {"jinja2": "host/run", "psutil": "host/resident", "watchdog": "host/resident"}


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, at any depth, but not for type checking alone."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("cookline"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    parts = ("cookline", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str:
    return max((room for room in ARROWS if module == room or module.startswith(f"{room}.")), key=len)


def test_arrows_run_one_way():
    for path in FILES:
        own = room_of(module_of(path))
        for name in imports(path):
            if name.split(".")[0] == "cookline" and name != "cookline":
                assert room_of(name) in {own, *ARROWS[own]}, f"{module_of(path)} must not import {name}"
            assert name != "cookline" or own == "cookline.kitchen", f"{module_of(path)} imports the public package itself"


def test_arrows_inside_control_run_one_way():
    for path in FILES:
        parts = path.relative_to(ROOT).parts
        if parts[0] != "control" or len(parts) < 3:
            continue
        for name in imports(path):
            words = name.split(".")
            if words[:2] == ["cookline", "control"] and len(words) > 2 and words[2] in INSIDE_CONTROL:
                assert words[2] in {parts[1], *INSIDE_CONTROL[parts[1]]}, f"{'/'.join(parts)} must not import {name}"


def test_kinds_know_nothing_of_the_run_not_even_its_types():
    for path in (ROOT / "host" / "resources").glob("*.py"):
        assert "cookline.host.run" not in path.read_text(), f"{path.name} must not import from host/run"


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_a_library_has_one_importer(library):
    allowed = ONE_IMPORTER[library]
    for path in FILES:
        place = str(path.relative_to(ROOT))
        if library in {name.split(".")[0] for name in imports(path)}:
            assert any(place.startswith(prefix) for prefix in allowed), f"{place} must not import {library}"


def test_the_host_wing_imports_nothing_but_the_standard_library_and_its_three_friends():
    for path in FILES:
        place = str(path.relative_to(ROOT))
        if not place.startswith(HOST_WING):
            continue
        for name in imports(path):
            top = name.split(".")[0]
            if top in ("cookline", "cookbooks") or top in sys.stdlib_module_names:
                continue
            assert top in HOST_LIBRARIES and place.startswith(HOST_LIBRARIES[top]), f"{place} must not import {name}"


def test_the_host_wing_parses_on_python_3_9():
    for path in FILES:
        if str(path.relative_to(ROOT)).startswith(HOST_WING):
            ast.parse(path.read_text(), feature_version=(3, 9))


def test_public_names_are_importable_and_listed():
    for name in cookline.EXPORTS:
        assert getattr(cookline, name) is getattr(importlib.import_module(cookline.EXPORTS[name]), name)
    assert dir(cookline) == sorted(cookline.EXPORTS)


def test_importing_cookline_is_light():
    code = "import cookline, sys; print([m for m in ('jinja2', 'yaml', 'paramiko', 'dbos', 'rich') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_thin_client_imports_nothing_heavy():
    code = "import cookline.cli.thin, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in {HEAVY}))"
    heavy = {"typer", "rich", "pydantic", "paramiko", "dbos", "yaml", "jinja2", "sqlite3", "asyncio"}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{HEAVY}", repr(heavy))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# A hard look is taken at 400 lines; this much is let pass after one.
LONGEST_FILE = 440
LONGEST_FUNCTION = 60


def test_files_and_functions_stay_small():
    for path in FILES:
        lines = path.read_text().splitlines()
        assert len(lines) <= LONGEST_FILE, f"{path.relative_to(ROOT)} has {len(lines)} lines"
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                assert length <= LONGEST_FUNCTION, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"


def test_no_room_is_called_utils():
    words = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in FILES if set(path.relative_to(ROOT).with_suffix("").parts) & words]
