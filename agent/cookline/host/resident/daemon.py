"""The resident agent: one loop, no thread of its own (`report: https` adds one that sends).

It beats, samples, looks out for drift and writes all of it to the spool. It never ends because of a full disk, a broken
inventory or broken settings: it says so in its log (the systemd journal) and, as soon as there is room, in a record, and goes
on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import signal
import sys
import time
import traceback
from typing import Any, Callable, Dict, Optional

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.host.resident import heartbeat
from cookline.host.resident.findings import Findings
from cookline.host.resident.lookout import Lookout
from cookline.host.resident.metrics import Sampler, datums, series
from cookline.host.resident.notify import notify, watchdog_seconds
from cookline.host.resident.outbox import Outbox
from cookline.host.resident.schedule import Schedule, until_aligned
from cookline.host.resident.settings import Settings, load
from cookline.host.resident.spool import Spool

HEARTBEAT_SECONDS = 60.0
# A fault that comes again and again is told once in so many seconds.
REPEAT_SECONDS = 600.0


class Daemon:
    """Everything that lives as long as the process; `settings_path` is read again on SIGHUP."""

    def __init__(self, settings_path: str = paths.AGENT_SETTINGS) -> None:
        self.settings_path = settings_path
        self.started = time.time()
        self.schedule = Schedule()
        self.stopping = False
        self.settings = Settings()
        self.spool = Spool()
        self.outbox: Optional[Outbox] = None
        self.lookout: Optional[Lookout] = None
        self._sampler: Optional[Sampler] = None
        self._told: Dict[str, float] = {}

    # -- the loop --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        wakeup = self._take_signals()
        self.configure()
        self._ping()
        notify("READY=1")
        while not self.stopping:
            self._turn(wakeup)
        notify("STOPPING=1")
        self._stop_parts()

    def _turn(self, wakeup: int) -> None:
        poll = select.poll()
        handlers: Dict[int, Callable[[], None]] = {wakeup: lambda: self._on_signals(wakeup)}
        lookout = self.lookout
        if lookout is not None and lookout.watch is not None:
            handlers[lookout.watch.fd] = lookout.on_events
        if lookout is not None and lookout.checker.busy:
            handlers[lookout.checker.fileno()] = lookout.on_checked
        for descriptor in handlers:
            poll.register(descriptor, select.POLLIN)
        wait = self.schedule.wait()
        for descriptor, _ in poll.poll(None if wait is None else wait * 1000 + 1):
            self.guarded(handlers[descriptor].__name__, handlers[descriptor])
        self.schedule.run_due(self.guarded)

    def guarded(self, name: str, work: Callable[[], None]) -> None:
        """Do it; whatever goes wrong is told, and the agent goes on."""
        try:
            work()
        except Exception as error:
            if time.monotonic() - self._told.get(name, -REPEAT_SECONDS) < REPEAT_SECONDS:
                return
            self._told[name] = time.monotonic()
            log(traceback.format_exc())
            self.say("log", {"level": "error", "text": f"{name}: {type(error).__name__}: {error}"})

    def say(self, kind: str, *data: Dict[str, Any], sync: bool = True) -> None:
        """Spool records; what the disk refuses is at least in the log."""
        for each in data if kind in ("log", "watch") else ():
            log(f"{kind}: {each.get('text') or each}")
        healthy = self.spool.failure is None
        if not self.spool.append(kind, *data, sync=sync) and healthy:
            log(f"the spool cannot be written, records are being lost: {self.spool.failure}")

    # -- signals -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _take_signals() -> int:
        readable, writable = os.pipe()
        os.set_blocking(readable, False)
        os.set_blocking(writable, False)
        signal.set_wakeup_fd(writable)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # the loop reads the number from the pipe
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        return readable

    def _on_signals(self, wakeup: int) -> None:
        for number in os.read(wakeup, 64):
            if number == signal.SIGHUP:
                self.configure()
            else:
                self.stopping = True

    # -- settings ----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Take over the settings of the file; without usable ones those of before stay (at first: a heartbeat only)."""
        try:
            settings = load(self.settings_path)
        except HostStateError as error:
            self.say("log", {"level": "error", "text": str(error)})
            settings = self.settings
        self._stop_parts()
        self.settings = settings
        self.spool = Spool(paths.SPOOL, settings.spool_bytes, settings.instance_id)
        self.lookout = Lookout(settings, self.schedule, self.say)
        self.outbox = self._new_outbox() if settings.publishes else None
        self.schedule.after(0.0, "drift start", self.lookout.start)
        self.schedule.after(0.0, "heartbeat", self.beat)
        if settings.period > 0 and series_of(settings):
            self._sampler = Sampler()
            # The first sample soon, so that a new instance is seen to measure; then in step.
            self.schedule.after(min(1.0, settings.period), "metrics", self.sample)

    def _new_outbox(self) -> Outbox:
        outbox = Outbox(self.settings, lambda text: self.say("log", {"level": "warning", "text": text}))
        outbox.start()
        outbox.send()
        return outbox

    def _stop_parts(self) -> None:
        for name in (
            "drift start",
            "drift timer",
            "drift look",
            "drift hangs",
            "canary",
            "held findings",
            "metrics",
            "heartbeat",
        ):
            self.schedule.cancel(name)
        if self.lookout is not None:
            self.lookout.stop()
        if self.outbox is not None:
            self.outbox.stop()

    # -- duties ------------------------------------------------------------------------------------------------------

    def _ping(self) -> None:
        seconds = watchdog_seconds()
        if seconds is not None:
            notify("WATCHDOG=1")
            self.schedule.after(seconds / 3, "watchdog", self._ping)

    def sample(self) -> None:
        """Append the sixteen values under every series; the agent's own sending puts them to its outbox instead."""
        assert self._sampler is not None
        now = time.time()
        self.schedule.after(until_aligned(self.settings.period, self.settings.instance_id, now), "metrics", self.sample)
        data = datums(self._sampler.sample(), series_of(self.settings), now, period=self.settings.period)
        if self.outbox is None:
            self.say("metric", *data, sync=False)
            return
        if not self.outbox.spool.append("metric", *data, at=now):
            log(f"the outbox cannot be written: {self.outbox.spool.failure}")
        self.outbox.send()

    def beat(self) -> None:
        """Say that the agent lives, and how its parts are; this is also what syncs the metrics since the last one."""
        self.schedule.after(HEARTBEAT_SECONDS, "heartbeat", self.beat)
        data = self.condition()
        self.say("heartbeat", data)
        heartbeat.write(data)

    def condition(self) -> Dict[str, Any]:
        """{"pid", "bundle", "uptime" (seconds), "rss" (KB), "watch", "drift", "spool", "report"}."""
        assert self.lookout is not None
        findings = Findings()
        return {
            "pid": os.getpid(),
            "bundle": os.path.basename(os.path.realpath(__file__).rsplit("/cookline/", 1)[0]),
            "uptime": round(time.time() - self.started, 1),
            "rss": resident_kilobytes(),
            "watch": self.lookout.health,
            "drift": {"open": len(findings.open), "checked": findings.checked, "last": self.lookout.last},
            "spool": {"bytes": self.spool.size(), "lost": self.spool.unwritten},
            "report": {"to": "ssh"} if self.outbox is None else {"to": "https", "error": self.outbox.error},
        }


def log(text: str) -> None:
    """To the journal; where that is gone, nobody reads it and nothing stops."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def series_of(settings: Settings) -> Any:
    return series({"instance_id": settings.instance_id, "layers": settings.layers, "stack_id": settings.stack_id})


def resident_kilobytes() -> int:
    """VmRSS of this process."""
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)


def run() -> int:
    """The daemon's main; returns the exit status."""
    os.umask(0o077)
    os.chdir("/")
    os.makedirs(paths.STATE_DIRECTORY, mode=0o700, exist_ok=True)
    Daemon().run()
    return 0
