"""The `cookline` command. With a server running it is a thin client that imports nothing heavy (35 ms against 800)."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys

# What is imported stays; looking it through after every 700 objects, as by default, takes 20 ms of a command.
COLLECT_AFTER = (50_000, 20, 20)


def main() -> None:
    from cookline.cli.thin import through_server

    status = through_server(sys.argv[1:])
    if status is None:
        gc.set_threshold(*COLLECT_AFTER)
        # where every thread is, on the error stream, and on it goes: Ctrl-\\ on a terminal, SIGUSR1 as for the agent
        for number in (signal.SIGQUIT, signal.SIGUSR1):
            faulthandler.register(number)
        from cookline.cli.app import run_command
        from cookline.cli.session import Session, Terminal

        session = Session(Terminal.of_this_process())
        session.leaving = True
        status = run_command(sys.argv[1:], session)
        sys.stdout.flush()
        # not sys.exit: it waits for threads, also for those that follow runs which the user has detached from
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
