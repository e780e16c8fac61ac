"""What the machine is; each fact is read on first use, from /proc, /sys or a file.

    node.facts.os.family          "debian"
    node.facts.cpu.count          2
    node.facts.memory.total       bytes
    node.facts.addresses          ["198.19.0.11"]

A group of facts is a mapping whose keys are also attributes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Callable, Dict, Iterator, List

from cookline.errors import CookbookError, did_you_mean


class Group(Dict[str, Any]):
    """A mapping with attribute access and an error that names the nearest right fact."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise CookbookError(f"there is no fact {name!r} here{did_you_mean(name, self)}") from None


def _os() -> Group:
    release: Dict[str, str] = {}
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            key, separator, value = line.strip().partition("=")
            if separator:
                release[key] = value.strip("\"'")
    identity = release.get("ID", "linux")
    like = [identity, *release.get("ID_LIKE", "").split()]
    family = next((name for name in ("debian", "rhel", "fedora", "suse", "arch", "alpine") if name in like), identity)
    return Group(
        id=identity,
        family="rhel" if family == "fedora" else family,
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        name=release.get("PRETTY_NAME", identity),
    )


def _kernel() -> Group:
    system = os.uname()
    return Group(name=system.sysname, release=system.release, machine=system.machine)


def _memory() -> Group:
    with open("/proc/meminfo") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}
    return Group(total=sizes["MemTotal"], available=sizes.get("MemAvailable", 0), swap=sizes.get("SwapTotal", 0))


def _cpu() -> Group:
    model = ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    return Group(count=os.cpu_count() or 1, model=model)


def _addresses() -> List[str]:
    """IPv4 addresses of the host's interfaces but the loopback, from the kernel's routing tables."""
    found: List[str] = []
    with contextlib.suppress(OSError), open("/proc/net/fib_trie") as file:
        lines = file.read().splitlines()
        for before, line in zip(lines, lines[1:]):
            if "/32 host LOCAL" in line:
                address = before.split()[-1]
                if not address.startswith("127.") and address not in found:
                    found.append(address)
    return found


def _virtualization() -> Group:
    container = ""
    with contextlib.suppress(OSError), open("/run/systemd/container") as file:
        container = file.read().strip()
    vendor = ""
    with contextlib.suppress(OSError), open("/sys/class/dmi/id/sys_vendor") as file:
        vendor = file.read().strip()
    kind = "container" if container else {"QEMU": "kvm", "Amazon EC2": "ec2"}.get(vendor, "")
    return Group(kind=kind, container=container, vendor=vendor)


def _python() -> Group:
    return Group(version="{}.{}.{}".format(*sys.version_info[:3]))


READERS: Dict[str, Callable[[], Any]] = {
    "os": _os,
    "kernel": _kernel,
    "memory": _memory,
    "cpu": _cpu,
    "addresses": _addresses,
    "hostname": lambda: os.uname().nodename,
    "virtualization": _virtualization,
    "python": _python,
}
# Facts that change by themselves would make every template that reads them change on every run.
VOLATILE = frozenset({"memory"})


def brief() -> Dict[str, Any]:
    """What selectors on the controller go by; each run reports it."""
    system = _os()
    found: Dict[str, Any] = {"os": {name: system[name] for name in ("id", "family", "version", "codename")}}
    found["kernel"] = {"machine": os.uname().machine}
    found["cpu"] = {"count": os.cpu_count() or 1}
    found["python"] = dict(_python())
    found["virtualization"] = {"kind": _virtualization()["kind"]}
    return found


class Facts:
    """The facts of this machine, read once each; `recorded` notes which ones a template looked at."""

    def __init__(self) -> None:
        self._known: Dict[str, Any] = {}
        self._recorders: List[Dict[str, Any]] = []

    def read(self, name: str) -> Any:
        """The fact, as JSON values. Raises CookbookError with the nearest right name."""
        if name not in self._known:
            if name not in READERS:
                raise CookbookError(f"there is no fact {name!r}{did_you_mean(name, READERS)}")
            self._known[name] = READERS[name]()
        return self._known[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.read(name)
        for recorder in self._recorders:
            recorder[name] = value
        return value

    @contextlib.contextmanager
    def recorded(self) -> Iterator[Dict[str, Any]]:
        recorder: Dict[str, Any] = {}
        self._recorders.append(recorder)
        try:
            yield recorder
        finally:
            self._recorders.remove(recorder)

    def all(self) -> Dict[str, Any]:
        return {name: self.read(name) for name in READERS}
