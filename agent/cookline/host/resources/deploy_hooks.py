"""An application's own programs around the stages of its deployment (features O27).

Files in its folder `deploy/`: before_migrate, before_symlink, before_restart and after_restart, executable, or with the ending
.py. They run in the release, as its owner, with the app's environment and where they are: APP, DEPLOY_TO, RELEASE_PATH,
CURRENT_PATH, SHARED_PATH.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from typing import Dict, List, Mapping, Optional

from cookline.errors import CommandError, ResourceError
from cookline.host import paths
from cookline.host.resources.base import Action, field
from cookline.host.resources.ownership import Owner
from cookline.host.system import System

FOLDER = "deploy"
AFTER_RESTART = "after_restart"
# Seconds; as long as a command of Execute may take.
TIMEOUT = 3600.0


class Stage:
    """Where the hooks of one release run, and as whom."""

    def __init__(self, app: str, directory: str, release: str, owner: Owner, environment: Mapping[str, str]) -> None:
        self.app, self.directory, self.release, self.owner = app, directory, release, owner
        self.environment = environment

    def run(self, host: System, name: str, timeout: Optional[float] = None) -> None:
        """Run one hook if the release has it. Raises ResourceError with what it printed."""
        command = self._command(host, name)
        if command is not None:
            self.execute(host, command, f"hook {FOLDER}/{name}", timeout)

    def execute(self, host: System, command: "str | List[str]", what: str, timeout: Optional[float] = None) -> None:
        try:
            host.run(
                command,
                cwd=self.release,
                user=user_name(self.owner),
                env={**self.environment, **self._places()},
                timeout=timeout or TIMEOUT,
            )
        except CommandError as error:
            raise ResourceError(f"the {what} of {self.app!r} failed: {error}") from error

    def _command(self, host: System, name: str) -> Optional[List[str]]:
        program, script = f"{self.release}/{FOLDER}/{name}", f"{self.release}/{FOLDER}/{name}.py"
        found = [path for path in (program, script) if host.status(path) is not None]
        if not found:
            return None
        if len(found) > 1:
            raise ResourceError(f"{self.app!r} has both {FOLDER}/{name} and {FOLDER}/{name}.py: which one is its hook?")
        if found == [script]:
            return [sys.executable, script]
        if not os.access(program, os.X_OK):
            raise ResourceError(f"the hook {FOLDER}/{name} of {self.app!r} is not executable", hint=f"chmod +x {FOLDER}/{name}")
        return [program]

    def _places(self) -> Dict[str, str]:
        return {
            "APP": self.app,
            "DEPLOY_TO": self.directory,
            "RELEASE_PATH": self.release,
            "CURRENT_PATH": f"{self.directory}/current",
            "SHARED_PATH": f"{self.directory}/shared",
        }

    # -- until the services have restarted -----------------------------------------------------------------------------

    def keep(self, host: System) -> None:
        """Write down, for root alone, what the hook after the restart needs: the run that restarts may be a later one."""
        if self._command(host, AFTER_RESTART) is None:
            host.remove(kept_path(self.app))
            return
        kept = {"directory": self.directory, "owner": self.owner, "environment": dict(self.environment)}
        with host.change("write", kept_path(self.app)):
            os.makedirs(os.path.dirname(kept_path(self.app)), mode=0o700, exist_ok=True)
            paths.write_private(kept_path(self.app), json.dumps(kept).encode())


def kept_path(app: str) -> str:
    return f"{paths.STATE_DIRECTORY}/hooks/{app}.json"


def user_name(owner: Owner) -> Optional[str]:
    """The owner as a name; None is root. Raises ResourceError for a number that no account has."""
    if owner is None or isinstance(owner, str):
        return owner
    import pwd

    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        raise ResourceError(f"no user of this host has the number {owner}") from None


def archive_has(archive: str, name: str) -> bool:
    """Whether an application's archive brings the hook. Raises ResourceError for one that cannot be read."""
    wanted = {f"{FOLDER}/{name}", f"{FOLDER}/{name}.py"}
    try:
        with tarfile.open(archive, "r:*") as opened:
            return any(os.path.normpath(member.name) in wanted for member in opened)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ResourceError(f"{archive} is no archive that can be read: {error}") from None


class AfterRestart(Action):
    """Run the hook after_restart of an app's current release; Release owes it where the release has one.

    timeout     seconds, then it is killed

    >>> AfterRestart("shop").name
    'AfterRestart[shop]'
    """

    app: str
    timeout: Optional[float] = field(default=None, kw_only=True)

    def perform(self, host: System) -> None:
        try:
            kept = json.loads(host.read(kept_path(self.app)) or b"{}")
        except ValueError:
            kept = {}
        if not kept:
            return  # the app was undeployed since
        release = os.path.realpath(f"{kept['directory']}/current")
        Stage(self.app, kept["directory"], release, kept["owner"], kept["environment"]).run(host, AFTER_RESTART, self.timeout)
