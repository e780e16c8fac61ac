"""The bridge of a project and the network namespaces of its hosts. Nothing here has a way out of the machine."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from cookline.control.providers.container.addresses import hidden_by, needed_addresses
from cookline.control.providers.container.project import FIRST_ADDRESS, Project, Record, machine_lock, write_json
from cookline.control.providers.container.requirements import run
from cookline.errors import CommandError, UsageError

# RFC 2544 sets 198.18.0.0/15 aside for tests of network devices: no real host lives there. The upper half comes first.
RANGES = (ipaddress.IPv4Network("198.19.0.0/16"), ipaddress.IPv4Network("198.18.0.0/16"))


class Network:
    """One bridge with one /24. `wanted` is a range that the user asked for, instead of one chosen from RANGES."""

    def __init__(self, project: Project, wanted: str | None = None) -> None:
        self.project = project
        self.wanted = wanted
        self.bridge = f"ck{project.identifier}"
        self._record = project.directory / "network.json"

    @property
    def subnet(self) -> ipaddress.IPv4Network | None:
        try:
            return ipaddress.IPv4Network(json.loads(self._record.read_text())["subnet"])
        except FileNotFoundError:
            return None

    def address(self, record: Record) -> str | None:
        return str(self.subnet[FIRST_ADDRESS + record.number]) if self.subnet else None

    def up(self) -> None:
        """Make the bridge, with the range that it had before where that is still free."""
        with machine_lock():
            if not Path("/sys/class/net", self.bridge).exists():
                subnet = self._choose()
                write_json(self._record, {"bridge": self.bridge, "subnet": str(subnet)})
                self._make_bridge(subnet)

    def _choose(self) -> ipaddress.IPv4Network:
        needed = needed_addresses()
        if self.wanted:
            return check_range(self.wanted, needed)
        candidates = ([self.subnet] if self.subnet else []) + list(slices(self.project.identifier))
        for candidate in candidates:
            if not hidden_by(candidate, needed):
                return candidate
        raise UsageError(
            f"no /24 of {' or '.join(map(str, RANGES))} is free on this machine",
            hint="name a free one in COOKLINE_CONTAINER_NETWORK, for example 10.77.3.0/24",
        )

    def _make_bridge(self, subnet: ipaddress.IPv4Network) -> None:
        lines = [
            f"link add {self.bridge} type bridge forward_delay 0",
            f"link set {self.bridge} addrgenmode none",
            f"addr add {subnet[1]}/{subnet.prefixlen} dev {self.bridge}",
            f"link set {self.bridge} up",
        ]
        run("ip", "-batch", "-", stdin="\n".join(lines))
        # whatever the machine forwards for others, it forwards nothing for these hosts
        Path("/proc/sys/net/ipv4/conf", self.bridge, "forwarding").write_text("0")

    def attach(self, record: Record) -> None:
        """A new namespace with the link `host0` for a host that is not running: nothing of its last life is in it."""
        assert self.subnet is not None, "the network is up"
        label, address = self.project.label(record), self.subnet[FIRST_ADDRESS + record.number]
        self.detach(record)
        with machine_lock():
            run("ip", "netns", "add", label)
        # a hardware address that stays the same, or neighbours would go on to speak to the last one for half a minute
        hardware = "02:63:" + ":".join(f"{byte:02x}" for byte in address.packed)
        outside = [f"link add {label} type veth peer name host0 address {hardware} netns {label}"]
        outside += [f"link set {label} addrgenmode none"]
        outside += [f"link set {label} master {self.bridge} up"]
        inside = ["link set lo up", "link set host0 addrgenmode none"]
        inside += [f"addr add {address}/{self.subnet.prefixlen} dev host0", "link set host0 up"]
        run("ip", "-batch", "-", stdin="\n".join(outside))
        run("ip", "-n", label, "-batch", "-", stdin="\n".join(inside))

    def detach(self, record: Record) -> None:
        self.release(self.project.label(record))

    def release(self, label: str) -> None:
        """Take away the link and the namespace of this name."""
        if Path("/sys/class/net", label).exists():
            run("ip", "link", "delete", label)
        if Path("/run/netns", label).exists():
            with contextlib.suppress(
                CommandError
            ):  # killed between its two steps, `ip netns add` leaves a name without a mount
                run("ip", "netns", "delete", label)
            Path("/run/netns", label).unlink(missing_ok=True)

    @property
    def controller_address(self) -> str | None:
        """Where the hosts reach this machine."""
        return str(self.subnet[1]) if self.subnet else None

    def cut(self, record: Record) -> None:
        """Silence on the wire, both ways, as from a pulled cable."""
        run("ip", "link", "set", self.project.label(record), "down")

    def mend(self, record: Record) -> None:
        run("ip", "link", "set", self.project.label(record), "up")

    def down(self) -> None:
        """Remove the bridge; call it when the last host is detached."""
        with machine_lock():
            if Path("/sys/class/net", self.bridge).exists():
                run("ip", "link", "delete", self.bridge)


def slices(identifier: str) -> Iterator[ipaddress.IPv4Network]:
    """Every /24 of RANGES, beginning at one that the project's identifier picks: two projects seldom ask for the same."""
    start = int(hashlib.sha256(identifier.encode()).hexdigest()[:4], 16)
    for whole in RANGES:
        parts = list(whole.subnets(new_prefix=24))
        yield from (parts[(start + step) % len(parts)] for step in range(len(parts)))


def check_range(text: str, needed: Iterable[tuple[str, ipaddress.IPv4Network]]) -> ipaddress.IPv4Network:
    """The range that a user asked for. Raises UsageError where it is none, too small, or hides what this machine needs."""
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no range of addresses: {error}", hint="write it as 10.77.3.0/24") from None
    if subnet.prefixlen > 24:
        raise UsageError(f"{subnet} is too small for a project's hosts", hint="give a /24 or larger")
    if reasons := hidden_by(subnet, needed):
        raise UsageError(
            f"{subnet} would hide {reasons[0]} from this machine", hint="choose another range, or none: one is found"
        )
    return subnet
