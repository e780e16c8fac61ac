"""What happens to hosts in real life, done on purpose."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cookline.control.providers.container.machine import Machine
from cookline.control.providers.container.network import Network


class Faults:
    """One host and what can go wrong with it. Each call returns when the fault has happened."""

    def __init__(self, machine: Machine, network: Network) -> None:
        self.machine, self.network = machine, network

    def partition(self) -> None:
        """Pull the cable: packets are lost in silence, both ways. Connections hang, new ones time out."""
        self.network.cut(self.machine.record)

    def heal(self) -> None:
        """Put the cable back; connections that did not give up go on."""
        self.network.mend(self.machine.record)

    def freeze(self) -> None:
        """Stop every process where it stands: TCP still connects, nothing answers."""
        self.machine.group.freeze()

    def thaw(self) -> None:
        self.machine.group.thaw()

    def power_cut(self) -> None:
        """End every process without a word on the wire. The disk keeps what was written, even what was not synced:
        the kernel and its page cache are this machine's."""
        self.network.cut(self.machine.record)
        self.machine.kill()

    def boot(self) -> None:
        """Power on again, with the disk as it was left; returns when sshd answers."""
        if not self.machine.running:
            self.network.attach(self.machine.record)
            self.machine.start()
        self._wait_ready()

    def reboot(self) -> None:
        """A clean reboot; returns when sshd answers again."""
        self.machine.reboot()
        self._wait_ready()

    @contextlib.contextmanager
    def expect_reboot(self) -> Iterator[None]:
        """Around something that makes the host reboot by itself; leaves when sshd answers again."""
        before = self.machine.group.leader()
        yield
        self.machine.wait_rebooted(before)
        self._wait_ready()

    def _wait_ready(self) -> None:
        address = self.network.address(self.machine.record)
        assert address is not None, "a host that exists has an address"
        self.machine.wait_ready(address)
