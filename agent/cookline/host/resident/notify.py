"""Tells systemd how the service is, by sd_notify's datagrams (man 3 sd_notify)."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Optional


def notify(state: str) -> None:
    """Send "READY=1", "WATCHDOG=1", "STATUS=..", "STOPPING=1"; nothing happens where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), address)


def watchdog_seconds() -> Optional[float]:
    """How often systemd wants a WATCHDOG=1 at least, or None."""
    pid = os.environ.get("WATCHDOG_PID")
    if pid and pid != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1e6
    except (KeyError, ValueError):
        return None
