"""One run at a time on a host: a lock whose holder, run and age anybody may read."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Any, Callable, Dict, Optional

from cookline.host import paths

# Often enough that a freed lock is taken at once, seldom enough to cost nothing.
POLL_SECONDS = 0.05
# A run whose end stands in its journal has no more to do than to let the lock go.
ENDING_SECONDS = 5.0


class HostLock:
    """An flock on paths.LOCK; the kernel frees it when its holder dies, so it is never stale."""

    def __init__(self) -> None:
        os.makedirs(paths.STATE_DIRECTORY, mode=0o700, exist_ok=True)
        self._file = os.open(paths.LOCK, os.O_CREAT | os.O_RDWR, 0o600)

    def take(
        self,
        holder: Dict[str, Any],
        wait: float,
        on_wait: Callable[[Dict[str, Any]], None],
        reserved: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait up to `wait` seconds; `on_wait` hears once who holds it. False when the time is over.

        A free lock that is `reserved`, for a run that goes on after a reboot, is left free. A holder that is `ending` is waited
        for whatever `wait` is: whoever has read of its end may begin at once.
        """
        begun = time.monotonic()
        told = False
        while True:
            other: Dict[str, Any] = {}
            ending = False
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not reserved():
                    break
                fcntl.flock(self._file, fcntl.LOCK_UN)
            except BlockingIOError:
                other = holder_of_lock() or {}
                ending = not other or "ending" in other  # nothing stands there while it is written, or somebody only looks
            if not (told or ending):
                on_wait(other)
                told = True
            if time.monotonic() >= begun + (max(wait, ENDING_SECONDS) if ending else wait):
                return False
            time.sleep(POLL_SECONDS if told else POLL_SECONDS / 10)
        self._say({**holder, "since": time.time()})
        return True

    def ending(self, holder: Dict[str, Any]) -> None:
        """Say that nothing more is done under the lock."""
        self._say({**holder, "ending": True})

    def _say(self, holder: Dict[str, Any]) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)


def holder_of_lock() -> Optional[Dict[str, Any]]:
    """{"run", "stack", "event", "store", "since"} of the holder, and "ending" when it has done; None when the lock is free."""
    try:
        with open(paths.LOCK, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                content = file.read()
    except FileNotFoundError:
        return None
    try:
        holder = json.loads(content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def describe(holder: Dict[str, Any]) -> str:
    """ "run 01H.. (setup of shop), for 12 s"."""
    if not holder:
        return "another run"
    age = max(0, int(time.time() - float(holder.get("since", time.time()))))
    return f"run {holder.get('run')} ({holder.get('event')} of {holder.get('stack')}), for {age} s"
