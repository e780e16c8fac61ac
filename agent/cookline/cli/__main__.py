"""The `cookline` command. With a server running it is a thin client that imports nothing heavy (35 ms against 800)."""

from __future__ import annotations

import sys


def main() -> None:
    from cookline.cli.thin import through_server

    status = through_server(sys.argv[1:])
    if status is None:
        from cookline.cli.app import run_command
        from cookline.cli.session import Session, Terminal

        status = run_command(sys.argv[1:], Session(Terminal.of_this_process()))
    sys.exit(status)


if __name__ == "__main__":
    main()
