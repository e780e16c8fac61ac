"""What is put on a host so that it can run recipes: the host wing and the wheels that it imports.

There is one bundle for each architecture, as psutil is compiled. The command that starts a conversation names all of them, and
the host takes the one for its own machine, so that nothing about a host has to be known before the first connection.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from cookline.control.transport import bytecode, memory
from cookline.control.transport.base import Target
from cookline.control.transport.bytecode import Bytecode
from cookline.control.transport.trees import Manifest
from cookline.errors import UsageError
from cookline.protocol import content_hash, tree_hash

PACKAGE = Path(__file__).resolve().parents[2]
WHEELS = Path(__file__).resolve().parent / "wheels"
MACHINES = ("x86_64", "aarch64")
# The parts of the package that hosts get.
HOST_WING = ("__init__.py", "errors.py", "protocol.py", "host")
# Code for other systems, command line tools and C sources, which no Linux host imports.
LEFT_OUT = (
    "psutil/_psaix.py", "psutil/_psbsd.py", "psutil/_psosx.py", "psutil/_pssunos.py", "psutil/_pswindows.py",
    "watchdog/watchmedo.py", "watchdog/tricks/", "watchdog/observers/fsevents", "watchdog/observers/kqueue.py",
    "watchdog/observers/read_directory_changes.py", "watchdog/observers/winapi.py", "markupsafe/_speedups",
)  # fmt: skip
# Bumped when the way a bundle is made changes, so that remembered manifests of older versions are not used.
RECIPE_VERSION = 1


class Bundle:
    """The bundles of all architectures: `hashes` maps machine to tree hash. Serves their trees (see trees.Trees).

    Contents are read once, all together: of a fleet with new code every host asks for the same 2 MB.
    """

    def __init__(self, manifests: Mapping[str, Manifest], sources: Mapping[str, list[str]], key: str = "") -> None:
        self.hashes = {machine: tree_hash(manifest) for machine, manifest in manifests.items()}
        self._manifests = {self.hashes[machine]: manifest for machine, manifest in manifests.items()}
        self._sources, self._key = sources, key
        self._contents: dict[str, bytes] = {}
        self._compiled: Bytecode | None = None
        self._reading = threading.Lock()

    def manifest(self, tree: str) -> Manifest:
        return self._manifests[tree]

    def open(self, content: str) -> BinaryIO:
        with self._reading:
            return io.BytesIO(self._read()[content])

    def compiled(self, python: str) -> Bytecode:
        """The bundle's modules compiled, for hosts whose `sys.implementation.cache_tag` is `python`; none unless it is that of
        this process. They are no part of the tree: controllers of different versions mean the same bundle."""
        if python != sys.implementation.cache_tag:
            return Bytecode()
        with self._reading:
            if self._compiled is None:
                self._compiled = bytecode.recall(self._key)
            if self._compiled is None:
                self._compiled = bytecode.compiled(self._modules())
                bytecode.remember(self._key, self._compiled)
            return self._compiled

    def _modules(self) -> dict[str, bytes]:
        entries = (entry for manifest in self._manifests.values() for entry in manifest)
        return {path: self._read()[content] for path, _, content in entries if path.endswith(".py")}

    def _read(self) -> dict[str, bytes]:
        self._contents = self._contents or _read(self._sources)
        return self._contents


def _read(sources: Mapping[str, list[str]]) -> dict[str, bytes]:
    """Every content; each wheel is opened once."""
    with contextlib.ExitStack() as stack:
        wheels = {
            path: stack.enter_context(zipfile.ZipFile(path)) for path in {path for path, member in sources.values() if member}
        }
        return {
            content: wheels[path].read(member) if member else Path(path).read_bytes()
            for content, (path, member) in sources.items()
        }


def bundle() -> Bundle:
    """The bundle of the code that is running. Costs a stat of each file; contents are read when they changed.

    Raises UsageError when the wheels are not there.
    """
    wheels = _wheels()
    return _bundle(_key(wheels))


@cache
def _bundle(key: str) -> Bundle:
    remembered = _recall(key)
    if remembered is None:
        remembered = _build(_wheels())
        _remember(key, remembered)
    return Bundle(remembered["manifests"], remembered["sources"], key)


def _wheels() -> list[Path]:
    wheels = sorted(WHEELS.glob("*.whl"))
    if not wheels:
        raise UsageError(
            f"the wheels that hosts need are not in {WHEELS}",
            hint="install the project again: pip install -e . (it downloads them)",
        )
    return wheels


def _host_files() -> Iterator[Path]:
    for name in HOST_WING:
        place = PACKAGE / name
        if place.is_file():
            yield place
        for directory, names, files in os.walk(place):
            names[:] = sorted(name for name in names if name != "__pycache__")
            yield from (Path(directory, file) for file in sorted(files) if file.endswith((".py", ".j2", ".service")))


def _key(wheels: list[Path]) -> str:
    """Names the state of everything that the bundle is made of: path, size, time and inode of each file."""
    digest = hashlib.sha256(f"{RECIPE_VERSION}{PACKAGE}".encode())
    for path in [*_host_files(), *wheels]:
        found = path.stat()
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\n".encode())
    return digest.hexdigest()


def _build(wheels: list[Path]) -> dict[str, Any]:
    """Read and hash everything: {"manifests": {machine: manifest}, "sources": {sha256: [file, member or ""]}}."""
    manifests: dict[str, Manifest] = {machine: [] for machine in MACHINES}
    sources: dict[str, list[str]] = {}
    for path in _host_files():
        digest = content_hash(path.read_bytes())
        sources[digest] = [str(path), ""]
        for manifest in manifests.values():
            manifest.append([path.relative_to(PACKAGE.parent).as_posix(), "0644", digest])
    for wheel in wheels:
        machines = [machine for machine in MACHINES if machine in wheel.name] or list(MACHINES)
        if wheel.name.lower().startswith("markupsafe"):
            machines = list(MACHINES)  # without its compiled part it runs everywhere
        for member, digest in _members(wheel):
            sources[digest] = [str(wheel), member]
            for machine in machines:
                manifests[machine].append([member, "0644", digest])
    return {"manifests": {machine: sorted(manifest) for machine, manifest in manifests.items()}, "sources": sources}


def _members(wheel: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if not info.is_dir() and _wanted(info.filename):
                yield info.filename, content_hash(archive.read(info))


def _wanted(member: str) -> bool:
    if ".dist-info/" in member:
        return "LICENSE" in member
    return member.endswith((".py", ".so")) and not member.startswith(LEFT_OUT)


# -- remembering -------------------------------------------------------------------------------------------------------


def _recall(key: str) -> dict[str, Any] | None:
    try:
        remembered = json.loads(memory.recall("bundle.json") or b"null")
    except ValueError:
        return None
    return remembered if isinstance(remembered, dict) and remembered.get("key") == key else None


def _remember(key: str, built: dict[str, Any]) -> None:
    memory.keep("bundle.json", json.dumps({"key": key, **built}).encode())


# -- the command -------------------------------------------------------------------------------------------------------

# Runs on Python 3.5 and newer until it has looked at the version. No backslash in it: login shells differ in how they take one.
# Collecting garbage while modules load, and taking them down again at the end, would cost each session 3 ms.
LOADER = """
import gc, os, sys
gc.disable()
def say(text):
    sys.stdout.buffer.write(text.encode() + bytes([10]))
    sys.stdout.buffer.flush()
    return text
def refuse(reason, found):
    say('{"kind":"refused","reason":"%s","found":"%s"}' % (reason, found))
    sys.exit(1)
if sys.version_info < (3, 9):
    refuse("python", "%d.%d.%d" % sys.version_info[:3])
trees = dict(word.split("=") for word in sys.argv[1:])
if os.uname().machine not in trees:
    refuse("machine", os.uname().machine)
os.umask(0o077)
tree = trees[os.uname().machine]
place = (os.environ.get("COOKLINE_STATE") or "/var/lib/cookline") + "/trees/" + tree
if not os.path.exists(place + "/.complete"):
    import json
    say('{"kind":"need","trees":["%s"],"python":"%s"}' % (tree, sys.implementation.cache_tag))
    answer, landing = json.loads(sys.stdin.buffer.readline().decode()), {"__name__": "cookline_landing"}
    exec(compile(answer["landing"], "landing", "exec"), landing)
    landing["land"]([tree], *landing["standard_streams"](), announced=True, compiled=(answer["compiled"], answer["packed"]))
sys.path.insert(0, place)
from cookline.host.run.__main__ import main
main()
sys.stdout.buffer.flush()
os._exit(0)
"""


def boot_command(target: Target, hashes: Mapping[str, str]) -> str:
    """The command that starts a conversation on a host; `hashes` maps machine to bundle.

    It passes through whatever login shell the user has: one line, single quotes alone. `env` fixes the language of sudo's and
    the shell's messages, which `conversation.py` reads.
    """
    # -I -S: nothing of the host's own Python environment; exec("..") keeps the loader on one line
    words = [target.python, "-I", "-S", "-c", _one_line(LOADER)]
    return as_root(target, [*words, *(f"{machine}={tree}" for machine, tree in sorted(hashes.items()))])


def as_root(target: Target, words: Sequence[str]) -> str:
    """A command line that runs `words` as root, or as whom the target says."""
    become = ["sudo", "-n", "-H", "--"] if target.become and target.user not in (None, "root") else []
    return "exec " + " ".join(shlex.quote(word) for word in ["env", "LC_ALL=C.UTF-8", *become, *words])


def _one_line(source: str) -> str:
    return "exec(" + json.dumps(source.strip()) + ")"


def landing_source() -> str:
    """The text of host/landing.py, for a host that has no bundle yet."""
    return (PACKAGE / "host" / "landing.py").read_text(encoding="utf-8")
