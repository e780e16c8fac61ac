"""EnvironmentVariable: one variable of all sessions, or of one service."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional

from cookline.errors import ResourceUsageError
from cookline.host import units
from cookline.host.resources.base import Action, Changes, Resource, State, field
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.resources.systemd_unit import units_to_read
from cookline.host.system import System
from cookline.protocol import content_hash

SYSTEM_WIDE = "/etc/environment"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HIDDEN = r"sha256 [0-9a-f]{64}"
DROP_IN = "cookline-environment.conf"
DROP_IN_TEXT = "# written by cookline\n[Service]\nEnvironmentFile={path}\n"


class EnvironmentVariable(Resource):
    """A variable in /etc/environment, which every session that begins later reads; or, with `service`, one in a 0600 file
    that only this service reads. Never put a secret into the first: everybody may read it.

    variable    its name
    value       its value, on one line
    service     "shop" or "shop.service"; it has the variable from its next restart on
    exists      False removes the variable

    >>> EnvironmentVariable("SHOP_TOKEN", "s3cret", service="shop").path
    '/etc/systemd/system/shop.service.d/cookline.env'
    >>> EnvironmentVariable("EDITOR", "vim").desired()
    {'value': 'vim'}
    """

    variable: str
    value: Optional[str] = field(default=None, repr=False)
    service: Optional[str] = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.variable, str) or not NAME.fullmatch(self.variable):
            raise ResourceUsageError(f"EnvironmentVariable needs a name of letters, digits and _, not {self.variable!r}")
        if self.value is not None:
            self._set(value=str(self.value))
        if self.exists and (self.value is None or "\n" in self.value or "\0" in self.value):
            raise ResourceUsageError(f"EnvironmentVariable[{self.variable}] needs a value of one line")
        if self.service is None and "#" in (self.value or ""):
            raise ResourceUsageError(f"EnvironmentVariable[{self.variable}]: in {SYSTEM_WIDE} a # begins a comment")
        if self.service is not None:
            if not re.fullmatch(r"[A-Za-z0-9:_.\\@-]+", self.service) or self.service.startswith("."):
                raise ResourceUsageError(f"EnvironmentVariable[{self.variable}]: {self.service!r} is no service's name")
            self._set(service=units.full_name(self.service), sensitive_fields=("value",))

    @property
    def identity(self) -> str:
        return self.variable if self.service is None else f"{self.service}: {self.variable}"

    @property
    def path(self) -> str:
        return SYSTEM_WIDE if self.service is None else f"{self._directory()}/cookline.env"

    def _directory(self) -> str:
        return f"{units.LINK_PATHS[0]}/{self.service}.d"

    def current(self, host: System) -> State:
        found = self._read_all(host).get(self.variable)
        state: State = {"value": found if self.service is None or found is None else self._hidden(found)}
        if self.service is not None and self.exists:
            status = host.status(self.path)
            state["mode"] = status.mode if status else None
            state["used"] = host.read(f"{self._directory()}/{DROP_IN}") == self._drop_in()
        return state

    def desired(self) -> State:
        if not self.exists or self.value is None:
            return {"value": None}
        if self.service is None:
            return {"value": self.value}
        return {"value": self._hidden(self.value), "mode": "0600", "used": True}

    def _hidden(self, value: str) -> str:
        """What stands for the value of a service: equal only for equal ones. A declaration has it already."""
        return value if re.fullmatch(HIDDEN, value) else f"sha256 {content_hash(value.encode())}"

    def _drop_in(self) -> bytes:
        return DROP_IN_TEXT.format(path=self.path.replace("%", "%%")).encode()

    def _lines(self, host: System) -> List[str]:
        return (host.read(self.path) or b"").decode("utf-8", "surrogateescape").splitlines()

    def _read_all(self, host: System) -> Dict[str, str]:
        found: Dict[str, str] = {}
        for line in self._lines(host):
            name, equals, text = line.strip().partition("=")
            if equals and not name.startswith("#"):
                found[name.replace("export ", "").strip()] = _unquoted(text, escapes=self.service is not None)
        return found

    def owes(self, host: System) -> List[Action]:
        return units_to_read(host, self.service) if self.service is not None else []

    def apply(self, host: System, changes: Changes) -> None:
        pattern = re.compile(rf"\s*(?:export\s+)?{self.variable}\s*=")
        lines = [line for line in self._lines(host) if not pattern.match(line)]
        if self.exists:
            lines.append(f"{self.variable}={_quoted(self.value or '', escapes=self.service is not None)}")
        if self.service is not None:
            self._apply_to_service(host, lines)
        elif lines or host.status(self.path) is not None:
            host.write(self.path, _text(lines), backup=True)

    def _apply_to_service(self, host: System, lines: List[str]) -> None:
        drop_in = f"{self._directory()}/{DROP_IN}"
        if host.status(self._directory()) is None and lines:
            host.make_directory(self._directory())
        if not host.apply:  # a plan: systemd is told nothing
            host.write(self.path, _text(lines), mode="0600")
            host.write(drop_in, self._drop_in())
            return
        if lines:
            host.write(self.path, _text(lines), mode="0600", uid=0, gid=0)
            if host.read(drop_in) != self._drop_in():
                host.write(drop_in, self._drop_in(), mode="0644", uid=0, gid=0)
                units.daemon_reload(host)
            return
        host.remove(drop_in)
        host.remove(self.path)
        if not host.listing(self._directory()):
            host.remove(self._directory())
        units.daemon_reload(host)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The value that it had, or its absence; for all sessions the file as it was, quotes and order included."""
        if self.service is None:
            return path_as_it_is(host, os.path.realpath(self.path))
        before = self._read_all(host).get(self.variable)
        if before is None:
            return EnvironmentVariable(self.variable, service=self.service, exists=False)
        return EnvironmentVariable(self.variable, before, service=self.service)

    def watched_paths(self) -> List[str]:
        return [self.path] if self.service is None else [self.path, f"{self._directory()}/{DROP_IN}"]

    def declaration(self) -> Dict[str, Any]:
        """A service's value stands as its hash."""
        value = self.value if self.service is None or self.value is None else str(self.desired()["value"])
        return {"variable": self.variable, "value": value, "service": self.service, "exists": self.exists}


def _text(lines: List[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _quoted(value: str, *, escapes: bool) -> str:
    """pam_env takes off the outer quotes and knows no escapes; systemd knows them (systemd.exec(5))."""
    return '"' + (re.sub(r'([\\"$`])', r"\\\1", value) if escapes else value) + '"'


def _unquoted(text: str, *, escapes: bool) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return re.sub(r'\\([\\"$`])', r"\1", text) if escapes else text
