"""The resident agent's program: `python3 -I -S .../cookline/host/resident/__main__.py [check BY | uninstall]`.

Without an argument it is the daemon. The bundle that it lies in is put on sys.path, whatever link it was started by.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Exit status: 0, 75 while a run holds the host (check), 1 with the reason on stdout (check) or stderr."""
    arguments = sys.argv[1:]
    if not arguments:
        from cookline.host.resident.daemon import run

        return run()
    if arguments[0] == "check" and len(arguments) == 2:
        return _check(arguments[1])
    if arguments == ["uninstall"]:
        from cookline.host.resident.install import uninstall

        uninstall()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


def _check(detected_by: str) -> int:
    """The names to look at come as JSON by standard input, null for all."""
    import json

    from cookline.errors import CooklineError, Locked
    from cookline.host.resident.drift import look

    os.umask(0o077)
    try:
        seen = look(detected_by, json.load(sys.stdin))
    except Locked:
        return os.EX_TEMPFAIL
    except (CooklineError, OSError) as error:
        print(error)
        return 1
    print(json.dumps({"open": len(seen.found), "held": seen.held, "declarations": seen.declarations, "seconds": seen.seconds}))
    return 0


if __name__ == "__main__":
    if __package__ in (None, ""):
        sys.path[:0] = [os.path.realpath(__file__).rsplit("/cookline/", 1)[0]]
    sys.exit(main())
