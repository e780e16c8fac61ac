"""Release: an application's releases, the one that is current, and what they share."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from cookline.errors import CookbookError, ResourceError, ResourceUsageError
from cookline.host.paths import TREES
from cookline.host.resources.base import ABSENT, Action, Changes, Resource, State, field
from cookline.host.resources.deploy_hooks import AFTER_RESTART, AfterRestart, Stage, archive_has, kept_path
from cookline.host.resources.ownership import Owner, absolute_path, uid_and_gid
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.resources.scope import Scope

# Features O46: what each release has of its own, and what all share.
DIRECTORIES = ("tmp", "public", "config")
SHARED = {"log": "log", "tmp/pids": "pids", "public/system": "system"}
# Features O47 and O48.
KEEP = 5
MAX_ROLLBACK = 4
STAMP = re.compile(r"[0-9]{14}")
# In each release: {"artifact": hash}, what it was unpacked from.
MARKER = ".cookline-release"


class Release(Resource):
    """An application below /srv/www/APP: releases/YYYYMMDDHHMMSS, shared, and the link `current` that is switched in one step.

    app             its short name
    artifact        path of a tar archive; by default what the controller sent for this app
    artifact_hash   what identifies the archive's content; a release that has it and is current is left alone
    directory       by default /srv/www/APP
    owner, group    who owns the releases and what they share; None is root
    directories     made in each release: tmp, public, config
    shared          path in each release -> name below shared/; what the archive has there gives way
    keep            releases that are kept
    rollback        1 to 4: make the release current that is so many before the newest; further back, or further than there
                    are, is an error that changes nothing. The next deploy removes what was rolled back from
    migrate         a command that runs in the new release, as its owner, before the switch
    environment     variables for `migrate` and the hooks; by default those of the app
    hooks           run the app's own deploy/before_migrate and before_symlink before the switch, before_restart after it, and
                    after_restart (with the actions at the end of the run). One that fails takes the deployment back: `current`
                    is what it was; only after_restart comes too late for that
    exists          False removes the directory with all releases and all that they share

    >>> Release("shop").directory
    '/srv/www/shop'
    >>> Release("shop", rollback=1).desired()
    {'exists': True, 'steps_back': 1}
    """

    app: str
    artifact: Optional[str] = field(default=None, kw_only=True)
    artifact_hash: Optional[str] = field(default=None, kw_only=True)
    directory: Optional[str] = field(default=None, kw_only=True, repr=False)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    directories: Sequence[str] = field(default=DIRECTORIES, kw_only=True)
    shared: Mapping[str, str] = field(default_factory=lambda: dict(SHARED), kw_only=True, repr=False)
    keep: int = field(default=KEEP, kw_only=True)
    rollback: int = field(default=0, kw_only=True)
    migrate: Optional[Union[str, Sequence[str]]] = field(default=None, kw_only=True)
    environment: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)
    hooks: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.app, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.app):
            raise ResourceUsageError(f"Release needs the short name of an app, not {self.app!r}")
        self._set(directory=absolute_path("Release", self.directory or f"/srv/www/{self.app}"))
        if self.keep < 1 or self.rollback < 0:
            raise ResourceUsageError(f"Release[{self.app}] keeps at least 1 release and goes back, not forth")
        for path in (*self.directories, *self.shared, *self.shared.values()):
            if path.startswith("/") or ".." in path.split("/") or os.path.normpath(path) in (".", MARKER):
                raise ResourceUsageError(f"Release[{self.app}] has {path!r}, which is no path in a release")

    def bind(self, scope: Scope) -> Any:
        """The artifact and `keep_releases` of the app as the controller sent them.

        Its `rollback` counts from the release that is current, so that each rollback command goes one further back.
        """
        if not self.exists or self.artifact is not None:
            return self
        app = scope.node.apps[self.app]
        rollback = self.rollback or int(app.get("rollback") or 0)
        if rollback and not self.rollback:
            rollback += len(self._abandoned(System(apply=False)))
        tree = app.get("artifact")
        if not tree and not rollback:
            raise CookbookError(f"nothing was sent for the app {self.app!r}", hint="give it a source in the stack's definition")
        path = f"{TREES}/{tree}/artifact.tar.gz" if tree else None
        keep = self.keep if self.keep != KEEP else int(app.get("keep_releases") or KEEP)
        environment = self.environment or dict(app.get("environment") or {})
        return self.replace(artifact=path, artifact_hash=tree, keep=keep, rollback=rollback, environment=environment)

    def owes(self, host: System) -> List[Action]:
        """The hook after the restart, where the release that becomes current has one."""
        if not self.exists or not self.hooks:
            return []
        if not self.rollback:
            has = archive_has(str(self.artifact), AFTER_RESTART)
        else:
            stamp = next(iter(self.releases(host)[self.rollback : self.rollback + 1]), "none")
            folder = f"{self.directory}/releases/{stamp}/deploy/{AFTER_RESTART}"
            has = any(host.status(folder + ending) is not None for ending in ("", ".py"))
        return [AfterRestart(self.app)] if has else []

    # -- what is there -------------------------------------------------------------------------------------------------

    def releases(self, host: System) -> List[str]:
        """Stamps of the releases, the newest first."""
        return [name for name in reversed(host.listing(f"{self.directory}/releases")) if STAMP.fullmatch(name)]

    def current_stamp(self, host: System) -> Optional[str]:
        stamp = os.path.basename(host.link_target(f"{self.directory}/current") or "")
        return stamp if stamp in self.releases(host) else None

    def _artifact_of(self, host: System, stamp: str) -> Optional[str]:
        try:
            marker = json.loads(host.read(f"{self.directory}/releases/{stamp}/{MARKER}") or b"{}")
        except ValueError:
            return None
        return marker.get("artifact") if isinstance(marker, dict) else None

    def current(self, host: System) -> State:
        stamp = self.current_stamp(host)
        if stamp is None:
            there = host.status(str(self.directory)) is not None
            return {"exists": True} if there and not self.exists else dict(ABSENT)
        state: State = {"exists": True, "release": stamp, "artifact": self._artifact_of(host, stamp)}
        state["steps_back"] = self.releases(host).index(stamp)
        return state

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT)
        if self.rollback:
            return {"exists": True, "steps_back": self.rollback}
        return {"exists": True, "artifact": self.artifact_hash or self._hash_of_path()}

    def _hash_of_path(self) -> str:
        """An archive that the recipe names is identified by its bytes."""
        import hashlib

        if self.artifact is None:
            raise ResourceUsageError(f"{self.name} has no artifact before node.ensure has bound it")
        digest = hashlib.sha256()
        try:
            with open(self.artifact, "rb") as file:
                for chunk in iter(lambda: file.read(1 << 20), b""):
                    digest.update(chunk)
        except OSError as error:
            raise ResourceError(f"the artifact of {self.app!r} cannot be read: {error}") from None
        return digest.hexdigest()

    # -- making it so --------------------------------------------------------------------------------------------------

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            host.remove_tree(str(self.directory))
            host.remove(kept_path(self.app))
        elif self.rollback:
            self._roll_back(host)
        else:
            self._deploy(host)

    def _roll_back(self, host: System) -> None:
        stamps = self.releases(host)
        if self.rollback > MAX_ROLLBACK:
            raise ResourceError(f"{self.app!r} can go back {MAX_ROLLBACK} releases, not {self.rollback}; nothing was changed")
        if self.rollback >= len(stamps):
            raise ResourceError(
                f"{self.app!r} cannot go back {self.rollback}: of its releases {len(stamps)} are kept; nothing was changed"
            )
        self._switch(host, stamps[self.rollback])

    def _stage(self, stamp: str) -> Stage:
        environment = {name: str(value) for name, value in self.environment.items()}
        return Stage(self.app, str(self.directory), f"{self.directory}/releases/{stamp}", self.owner, environment)

    def _before_switch(self, host: System, stamp: str) -> None:
        stage = self._stage(stamp)
        if self.hooks:
            stage.run(host, "before_migrate", self.timeout)
        if self.migrate is not None:
            command = self.migrate if isinstance(self.migrate, str) else list(self.migrate)
            stage.execute(host, command, "migration", self.timeout)
        if self.hooks:
            stage.run(host, "before_symlink", self.timeout)

    def _deploy(self, host: System) -> None:
        abandoned = self._abandoned(host)
        stamp = self._new_stamp(host)
        path = f"{self.directory}/releases/{stamp}"
        staged = host.scratch(f"{self.directory}/releases/.{stamp}-")
        self._clean(host)
        try:
            self._fill(host, staged)
            with host.change("make", path):
                os.sync()  # a power cut after the switch must find the files whole
                os.rename(staged, path)
            self._before_switch(host, stamp)
            self._switch(host, stamp)
            self._mark(host, path)
        except BaseException:
            host.remove_tree(staged)
            host.remove_tree(path)
            raise
        for old in [*abandoned, *[name for name in self.releases(host) if name not in abandoned][self.keep :]]:
            host.remove_tree(f"{self.directory}/releases/{old}")

    def _mark(self, host: System, path: str) -> None:
        """Last of all: a release without its mark, of a run that was killed, is deployed again, its hooks included."""
        marker: Dict[str, Any] = {"artifact": self.desired()["artifact"], "app": self.app}
        host.write(f"{path}/{MARKER}", json.dumps(marker).encode(), mode="0644")

    def _abandoned(self, host: System) -> List[str]:
        """Releases that were rolled back from."""
        stamps, current = self.releases(host), self.current_stamp(host)
        return stamps[: stamps.index(current)] if current is not None else []

    def _new_stamp(self, host: System) -> str:
        """The time in UTC; one second after the newest release when the clock says less."""
        now = int(time.strftime("%Y%m%d%H%M%S", time.gmtime()))
        newest = next(iter(self.releases(host)), None)
        return str(now if newest is None or now > int(newest) else int(newest) + 1)

    def _clean(self, host: System) -> None:
        """What a deploy that was cut off has left."""
        for name in host.listing(f"{self.directory}/releases"):
            if name.startswith("."):
                host.remove_tree(f"{self.directory}/releases/{name}")

    def _fill(self, host: System, staged: str) -> None:
        from cookline.host import archive  # tarfile costs 5 ms, and a quiet run unpacks nothing

        uid, gid = (-1 if each is None else each for each in uid_and_gid(host, self.owner, self.group))
        if host.status(f"{self.directory}/releases") is None:
            host.make_directory(f"{self.directory}/releases", parents=True)
        host.make_directory(staged, uid=uid, gid=gid)
        archive.unpack(host, str(self.artifact), staged, uid=uid, gid=gid)
        for name in self.directories:
            self._make(host, staged, name, uid, gid)
        for name, target in self.shared.items():
            self._make(host, str(self.directory), f"shared/{target}", uid, gid)
            self._make(host, staged, os.path.dirname(name), uid, gid)
            self._give_way(host, f"{staged}/{name}")
            host.make_link(f"{staged}/{name}", f"{self.directory}/shared/{target}")

    def _make(self, host: System, top: str, name: str, uid: int, gid: int) -> None:
        """A directory and its parents below `top`, owned as the release is."""
        path = top
        for part in name.split("/") if name else []:
            path = f"{path}/{part}"
            if host.status(path) is None:
                host.make_directory(path, uid=uid, gid=gid)

    def _give_way(self, host: System, path: str) -> None:
        status = host.status(path)
        if status is not None and status.kind == "directory":
            host.remove_tree(path)
        else:
            host.remove(path)

    def _switch(self, host: System, stamp: str) -> None:
        """Make a release current, and run its hook before the restart; when that fails, the one before is current again."""
        current = f"{self.directory}/current"
        before = host.link_target(current)
        host.make_link(current, f"{self.directory}/releases/{stamp}")
        if not self.hooks:
            return
        stage = self._stage(stamp)
        try:
            stage.keep(host)
            stage.run(host, "before_restart", self.timeout)
        except BaseException:
            if before is None:
                host.remove(current)
            else:
                host.make_link(current, before)
            raise

    def below(self) -> Optional[str]:
        return str(self.directory)

    def watched_paths(self) -> List[str]:
        return [f"{self.directory}/current"]

    def declaration(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in ("app", "directory", "artifact_hash", "rollback", "exists")}
