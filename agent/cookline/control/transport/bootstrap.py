"""python3 for a host that has none, by its own package manager. Only where the stack says `bootstrap: apt`."""

from __future__ import annotations

import time

from cookline.control.transport.base import Connection
from cookline.control.transport.bundle import as_root
from cookline.control.transport.printable import printable
from cookline.errors import PythonMissing

# A slow mirror and a slow disk; apt itself waits for the lock of another run.
INSTALL_SECONDS = 600.0
SCRIPT = (
    "export DEBIAN_FRONTEND=noninteractive; "
    "apt-get -qq -o DPkg::Lock::Timeout=120 update >&2; "
    "apt-get -qq -y -o DPkg::Lock::Timeout=120 --no-install-recommends install python3 >&2"
)


def install_python(connection: Connection) -> None:
    """Install Debian's python3. Raises PythonMissing with what apt said."""
    target = connection.target
    channel = connection.execute(as_root(target, ["sh", "-c", SCRIPT]))
    deadline = time.monotonic() + INSTALL_SECONDS
    try:
        while channel.readline(deadline - time.monotonic()):
            pass
        status = channel.exit_status()
    except TimeoutError:
        status = -1
    finally:
        said = printable(channel.errors().strip())[-2000:]
        channel.close()
    if status != 0:
        raise PythonMissing(
            f"python3 could not be installed on {target.instance}:\n{said}", hint="install it by hand, or name `python:`"
        )
