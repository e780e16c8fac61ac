"""Compiles aside, while a host's first run goes on, what that run and the agent import later."""

from __future__ import annotations

import contextlib
import os

# jinja2 takes 0.1 s: a run needs it for its first template
LATER = ("jinja2", "cookline.host.resources.template", "psutil", "watchdog.observers.inotify", "cookline.host.resident.daemon")


def compile_aside() -> None:
    """Fork a process that imports LATER, so that Python keeps what it compiles; unless somebody has done that before."""
    bundle = os.path.realpath(__file__).rsplit("/cookline/", 1)[0]
    if os.path.exists(f"{bundle}/jinja2/__pycache__") or os.fork():
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        import importlib

        for name in LATER:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    finally:
        os._exit(0)
