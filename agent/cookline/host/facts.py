"""What the machine is; each fact is read on first use, from /proc, /sys or a file.

    node.facts.os.family          "debian"
    node.facts.cpu.count          2
    node.facts.memory.total       bytes
    node.facts.addresses          ["198.19.0.11"], IPv4 before IPv6
    node.facts.users.shop.uid     998
    node.facts.packages["nginx"]  "1.22.1-9"
    node.facts.postgres.version   of the cookbook postgres, from its facts/version.py

A group of facts is a mapping whose keys are also attributes. Users, groups, packages, services, mounts and whether a reboot is
required are read anew when a resource has changed the machine; in a plan they are as the plan expects them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional

from cookline.errors import CookbookError, did_you_mean
from cookline.host.system import System
from cookline.protocol import canonical_json, content_hash

if TYPE_CHECKING:
    from cookline.host.accounts import Account
    from cookline.host.run.cookbook_facts import CookbookFacts

REBOOT_REQUIRED = "/run/reboot-required"
# Disks of these kinds have no hardware behind them, or nothing in them.
NO_DISK = re.compile(r"(loop|ram|zram|fd|sr)\d")
# File systems of the kernel's own, which nothing is stored on.
NO_STORE = frozenset(
    [
        "autofs",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "sysfs",
        "tracefs",
        "binfmt_misc",
        "efivarfs",
    ]
)
# Asking a server that is away for its size may take minutes.
REMOTE = frozenset(["nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "fuse.sshfs"])


class Group(Dict[str, Any]):
    """A mapping with attribute access and an error that names the nearest right fact."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise CookbookError(f"there is no fact {name!r} here{did_you_mean(name, self)}") from None


def _text(host: System, path: str) -> str:
    with contextlib.suppress(OSError):
        return (host.read(path) or b"").decode("utf-8", "replace").strip()
    return ""


def _os(host: System) -> Group:
    release: Dict[str, str] = {}
    for line in _text(host, "/etc/os-release").splitlines():
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


def _kernel(host: System) -> Group:
    system = os.uname()
    return Group(name=system.sysname, release=system.release, machine=system.machine)


def _memory(host: System) -> Group:
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in _text(host, "/proc/meminfo").splitlines()}
    return Group(total=sizes.get("MemTotal", 0), available=sizes.get("MemAvailable", 0), swap=sizes.get("SwapTotal", 0))


def _cpu(host: System) -> Group:
    model = re.search(r"^model name\s*: (.*)$", _text(host, "/proc/cpuinfo"), re.MULTILINE)
    return Group(count=os.cpu_count() or 1, model=model.group(1).strip() if model else "")


def _addresses(host: System) -> List[str]:
    """Addresses of the host's interfaces but the loopback, from the kernel's tables; of IPv6 those that others can reach."""
    found: List[str] = []
    lines = _text(host, "/proc/net/fib_trie").splitlines()
    for before, line in zip(lines, lines[1:]):
        if "/32 host LOCAL" in line:
            address = before.split()[-1]
            if not address.startswith("127.") and address not in found:
                found.append(address)
    rows = map(str.split, _text(host, "/proc/net/if_inet6").splitlines())
    return found + [_ipv6(row[0]) for row in rows if len(row) == 6 and row[3] == "00"]  # the scope: global


def _ipv6(digits: str) -> str:
    import socket

    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))


def _interfaces(host: System) -> Group:
    """name -> {mac, state, mtu}, but the loopback."""
    found = Group()
    for name in host.listing("/sys/class/net"):
        if name != "lo" and host.exists(f"/sys/class/net/{name}/address"):
            mac, state, mtu = (_text(host, f"/sys/class/net/{name}/{each}") for each in ("address", "operstate", "mtu"))
            found[name] = Group(mac=mac, state=state, mtu=int(mtu or 0))
    return found


def _disks(host: System) -> Group:
    """name -> {size in bytes, rotational, model}."""
    found = Group()
    for name in host.listing("/sys/class/block"):
        directory = f"/sys/class/block/{name}"
        size = (
            int(_text(host, f"{directory}/size") or 0) * 512
        )  # the kernel counts in sectors of 512 bytes, whatever the disk's
        if NO_DISK.match(name) or host.exists(f"{directory}/partition") or not size:
            continue
        rotational = _text(host, f"{directory}/queue/rotational") == "1"
        found[name] = Group(size=size, rotational=rotational, model=_text(host, f"{directory}/device/model"))
    return found


def _mounts(host: System) -> Group:
    """mount point -> {device, type, options, size, available}; both in bytes, 0 where that would be asked of a server."""
    from cookline.host import mounts

    found = Group()
    for each in mounts.mounted(host):
        if each.type in NO_STORE:
            continue
        size = available = 0
        if each.type not in REMOTE:
            with contextlib.suppress(OSError):
                seen = os.statvfs(each.point)
                size, available = seen.f_blocks * seen.f_frsize, seen.f_bavail * seen.f_frsize
        found[each.point] = Group(
            device=each.source, type=each.type, options=each.options.split(","), size=size, available=available
        )
    return found


# What a vendor of (virtual) hardware calls itself, and the kind that this means.
VENDORS = {
    "Amazon EC2": "ec2",
    "QEMU": "kvm",
    "Red Hat": "kvm",
    "VMware, Inc.": "vmware",
    "innotek GmbH": "virtualbox",
    "Xen": "xen",
}


def _virtualization(host: System) -> Group:
    """kind: container, kvm, ec2, xen, vmware, virtualbox, or "" for hardware; container: systemd-nspawn, docker, ..."""
    container = _text(host, "/run/systemd/container")
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        container = container or (name if host.exists(path) else "")
    vendor = _text(host, "/sys/class/dmi/id/sys_vendor")
    machine_id = _text(host, "/sys/hypervisor/uuid") or _text(host, "/sys/class/dmi/id/product_uuid").lower()
    kind = VENDORS.get(vendor, _text(host, "/sys/hypervisor/type"))
    if vendor == "Xen" and machine_id.startswith("ec2"):
        kind = "ec2"
    return Group(kind="container" if container else kind, container=container, vendor=vendor)


def _python(host: System) -> Group:
    return Group(version="{}.{}.{}".format(*sys.version_info[:3]))


def _users(host: System) -> Group:
    """name -> {uid, gid, home, shell, comment}."""
    from cookline.host import accounts

    return Group({name: Group(_without_name(each)) for name, each in accounts.users(host).items()})


def _groups(host: System) -> Group:
    """name -> {gid, members}."""
    from cookline.host import accounts

    return Group({name: Group(gid=each.gid, members=list(each.members)) for name, each in accounts.groups(host).items()})


def _without_name(entry: Account) -> Dict[str, Any]:
    return {name: value for name, value in entry._asdict().items() if name != "name"}


def _packages(host: System) -> Group:
    """name -> version of what is installed. dpkg's own file says it; of RPMs only the program rpm knows."""
    from cookline.host import dnf, dpkg

    if dnf.is_used(host):
        return Group({name: found[-1].version for name, found in sorted(dnf.status(host).items())})
    return Group(sorted(dpkg.status(host).installed_versions().items()))


def _services(host: System) -> Group:
    """unit -> {running, state, enabled} of the services that systemd has in memory; asked over its own socket."""
    from cookline.host import units

    found = Group()
    for name in sorted(each for each in {*units.loaded(host), *host.planned_units} if each.endswith(".service")):
        unit = units.find(host, name)
        if unit is not None:
            found[name] = Group(running=unit.running, state=unit.active, enabled=units.enabled(host, name))
    return found


def _reboot(host: System) -> Group:
    """required, and the packages that want it (Debian and Ubuntu write them down)."""
    names = _text(host, f"{REBOOT_REQUIRED}.pkgs").split()
    return Group(required=host.exists(REBOOT_REQUIRED), packages=sorted(set(names)))


READERS: Dict[str, Callable[[System], Any]] = {
    "os": _os,
    "kernel": _kernel,
    "memory": _memory,
    "cpu": _cpu,
    "disks": _disks,
    "mounts": _mounts,
    "addresses": _addresses,
    "interfaces": _interfaces,
    "hostname": lambda host: os.uname().nodename,
    "virtualization": _virtualization,
    "python": _python,
    "users": _users,
    "groups": _groups,
    "packages": _packages,
    "services": _services,
    "reboot": _reboot,
}
# What a run itself changes; these are read anew, from what is remembered of the machine until something changes it.
CHANGING = frozenset({"mounts", "users", "groups", "packages", "services", "reboot"})


def brief(host: System) -> Dict[str, Any]:
    """What selectors on the controller go by; each run reports it."""
    system = _os(host)
    found: Dict[str, Any] = {"os": {name: system[name] for name in ("id", "family", "version", "codename")}}
    found["kernel"] = {"machine": os.uname().machine}
    found["cpu"] = {"count": os.cpu_count() or 1}
    found["python"] = dict(_python(host))
    found["virtualization"] = {"kind": _virtualization(host)["kind"]}
    return found


class Facts:
    """The facts of a machine, this one by default; `recorded` notes which ones a template looked at.

    `own` are those of the run's cookbooks, each a group with the cookbook's name.
    """

    def __init__(self, host: Optional[System] = None, own: Optional[CookbookFacts] = None) -> None:
        self._host = host or System(apply=False)
        self.own = own
        self._known: Dict[str, Any] = {}
        self._recorders: List[Dict[str, str]] = []

    def read(self, name: str) -> Any:
        """The fact "os", or "postgres.version" of a cookbook, as JSON values. Raises CookbookError with the nearest name."""
        if name in self._known:
            return self._known[name]
        if name in READERS:
            value = READERS[name](self._host)
            if name not in CHANGING:
                self._known[name] = value
            return value
        cookbook, _, own = name.partition(".")
        if self.own is None or cookbook not in self.own.names():
            known = [*READERS, *(self.own.names() if self.own else ())]
            raise CookbookError(f"there is no fact {name!r}{did_you_mean(name, known)}")
        return self.own.read(cookbook, own, self._host) if own else OwnGroup(self, cookbook, self.own.of(cookbook))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.read(name)
        if not isinstance(value, OwnGroup):
            self.note(name, value)
        return value

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def note(self, name: str, value: Any) -> None:
        """Remember for templates that a fact was looked at."""
        for recorder in self._recorders:
            recorder[name] = fingerprint(value)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[Dict[str, str]]:
        """While a template is rendered: name -> fingerprint of each fact that it looks at."""
        recorder: Dict[str, str] = {}
        self._recorders.append(recorder)
        try:
            yield recorder
        finally:
            self._recorders.remove(recorder)

    def all(self) -> Dict[str, Any]:
        found = {name: self.read(name) for name in READERS}
        for cookbook in self.own.names() if self.own else ():
            found[cookbook] = {name: self.read(f"{cookbook}.{name}") for name in self.read(cookbook).names}
        return found


class OwnGroup:
    """The facts of one cookbook, each read when it is asked for."""

    def __init__(self, facts: Facts, cookbook: str, names: List[str]) -> None:
        self._facts, self._cookbook, self.names = facts, cookbook, names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self._facts.read(f"{self._cookbook}.{name}")
        self._facts.note(f"{self._cookbook}.{name}", value)
        return value

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def fingerprint(value: Any) -> str:
    """What stands for a fact in the cache of rendered templates; all packages would fill it."""
    return content_hash(canonical_json(value).encode())[:16]


def grouped(value: Any) -> Any:
    """JSON values with every mapping a Group."""
    if isinstance(value, dict):
        return Group({str(name): grouped(each) for name, each in value.items()})
    return [grouped(each) for each in value] if isinstance(value, (list, tuple)) else value
