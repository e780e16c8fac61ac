"""Starts a run so that nothing takes it down with itself: own process, own session, own systemd scope."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from typing import Callable

# systemd answers the D-Bus call before it has moved the process; seen: 1 to 3 ms.
SCOPE_SECONDS = 0.25
# Garbage of a run comes from its resources, some hundred objects each: the default would look at all of them ever again.
COLLECT_AFTER = (20_000, 20, 20)


def detached(run: str, directory: str, work: Callable[[int], None]) -> int:
    """Fork a process that calls `work(wake)`; returns the read end of the pipe whose write end is `wake`.

    The child has its own session and scope, no terminal, and `stray.log` of the run's directory as its output.
    """
    readable, writable = os.pipe()
    sys.stdout.flush()
    gc.freeze()  # what is loaded stays: neither process looks at it again, which would copy its pages
    if os.fork():
        os.close(writable)
        return readable
    status = 1
    try:
        os.close(readable)
        os.setsid()
        gc.enable()
        gc.set_threshold(*COLLECT_AFTER)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # the follower may go away; this process must not
        os.set_blocking(writable, False)
        _close_standard_streams(directory)
        with contextlib.suppress(Exception):  # without systemd the session alone must do
            join_scope(run)
        work(writable)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _close_standard_streams(directory: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(directory + "/stray.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)


def join_scope(run: str) -> None:
    """Move this process into cookline-run-RUN.scope; a session's or the agent's cgroup would take it down with it."""
    if not os.path.isdir("/run/systemd/system"):
        return
    from cookline.host import dbus

    scope = f"cookline-run-{run}.scope"
    properties = [
        ("Description", ("s", f"cookline run {run}")),
        ("PIDs", ("au", [os.getpid()])),
        ("CollectMode", ("s", "inactive-or-failed")),
    ]
    dbus.call(
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        scope,
        "fail",
        properties,
        [],
    )
    deadline = time.monotonic() + SCOPE_SECONDS
    while time.monotonic() < deadline:
        with open("/proc/self/cgroup") as file:
            if scope in file.read():
                return
        time.sleep(0.001)
