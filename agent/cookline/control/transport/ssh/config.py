"""What ~/.ssh/config says about a host, as far as a connection needs it.

Host, Match (all, host, originalhost, user, localuser), Include and the tokens of ssh_config(5) work as in OpenSSH: the first
value counts, IdentityFile collects. Match exec and canonical blocks are passed over.
"""

from __future__ import annotations

import fnmatch
import getpass
import glob
import os
import re
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_INCLUDE_DEPTH = 16  # OpenSSH's own
SYSTEM_CONFIG = "/etc/ssh/ssh_config"


@dataclass(frozen=True)
class Settings:
    """One host's settings; None and () mean that nothing was said. Paths are expanded."""

    hostname: str
    port: int | None = None
    user: str | None = None
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False
    proxy_jump: tuple[str, ...] = ()
    proxy_command: str | None = None
    connect_timeout: float | None = None
    user_known_hosts: tuple[str, ...] | None = None
    global_known_hosts: tuple[str, ...] | None = None
    host_key_alias: str | None = None


def settings(name: str, file: str | None = None, *, user: str | None = None, port: int | None = None) -> Settings:
    """What `file` says about `name` (None: the user's and the system's files; "none": nothing)."""
    files = [file] if file else ["~/.ssh/config", SYSTEM_CONFIG]
    found: dict[str, list[str]] = {}
    for path in files:
        if path != "none":
            _Reader(name, user, found).read(os.path.expanduser(path))
    return _settings(name, user, port, found)


def _settings(name: str, user: str | None, port: int | None, found: dict[str, list[str]]) -> Settings:
    def first(keyword: str) -> str | None:
        return found[keyword][0] if found.get(keyword) else None

    hostname = _expand(first("hostname") or name, {"h": name, "n": name})
    port = port or (int(first("port") or 0) or None)
    user = user or first("user")
    tokens = {"h": hostname, "n": name, "p": str(port or 22), "r": user or local_user(), "k": first("hostkeyalias") or name}
    jump = first("proxyjump")
    command = first("proxycommand")
    timeout = first("connecttimeout")
    return Settings(
        hostname=hostname,
        port=port,
        user=user,
        identity_files=tuple(_path(path, tokens) for path in found.get("identityfile", []) if path != "none"),
        identities_only=(first("identitiesonly") or "no").lower() == "yes",
        proxy_jump=tuple(jump.split(",")) if jump and jump.lower() != "none" else (),
        proxy_command=_expand(command, tokens) if command and command.lower() != "none" and not jump else None,
        connect_timeout=float(timeout) if timeout and timeout.isdigit() else None,
        user_known_hosts=_paths(first("userknownhostsfile"), tokens),
        global_known_hosts=_paths(first("globalknownhostsfile"), tokens),
        host_key_alias=first("hostkeyalias"),
    )


class _Reader:
    """Collects the values of one host over files and their includes."""

    def __init__(self, name: str, user: str | None, found: dict[str, list[str]]) -> None:
        self.name, self.user, self.found = name, user, found

    def read(self, path: str, depth: int = 0, active: bool = True) -> None:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        block = active
        for keyword, value in _directives(lines):
            if keyword == "host":
                block = active and self._matches(value, self.name)
            elif keyword == "match":
                block = active and self._matches_block(value)
            elif keyword == "include" and depth < MAX_INCLUDE_DEPTH:
                for included in _included(value, path):
                    self.read(included, depth + 1, block)
            elif block and (keyword == "identityfile" or keyword not in self.found):
                values = self.found.setdefault(keyword, [])
                values.append(value.strip('"') if keyword in ("identityfile", "hostname", "user") else value)

    @staticmethod
    def _matches(patterns: str, name: str) -> bool:
        found = False
        for pattern in re.split(r"[\s,]+", patterns.replace('"', "").strip()):
            if fnmatch.fnmatchcase(name, pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    return False
                found = True
        return found

    def _matches_block(self, criteria: str) -> bool:
        words = shlex.split(criteria.replace("=", " "))
        hostname = (self.found.get("hostname") or [self.name])[0]
        user = self.user or (self.found.get("user") or [local_user()])[0]
        subjects = {"host": hostname, "originalhost": self.name, "user": user, "localuser": local_user()}
        while words:
            word = words.pop(0).lower()
            criterion = word.removeprefix("!")
            if criterion == "all":
                continue
            if criterion not in subjects or not words:
                return False
            if self._matches(words.pop(0), subjects[criterion]) == word.startswith("!"):
                return False
        return True


def _directives(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        match = re.match(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.+?)\s*$", line)
        if match:
            yield match[1].lower(), match[2]


def _included(value: str, path: str) -> list[str]:
    base = "/etc/ssh" if path.startswith("/etc/ssh/") else os.path.expanduser("~/.ssh")
    patterns = (os.path.expanduser(pattern) for pattern in shlex.split(value))
    return [file for pattern in patterns for file in sorted(glob.glob(os.path.join(base, pattern)))]


def _expand(text: str, tokens: dict[str, str]) -> str:
    known = {
        "%": "%",
        "d": os.path.expanduser("~"),
        "u": local_user(),
        "l": socket.gethostname(),
        "i": str(os.getuid()),
        **tokens,
    }
    return re.sub(r"%(.)", lambda match: known.get(match[1], match[0]), text)


def _path(text: str, tokens: dict[str, str]) -> str:
    return os.path.expanduser(os.path.expandvars(_expand(text.strip('"'), tokens)))


def _paths(text: str | None, tokens: dict[str, str]) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(_path(path, tokens) for path in shlex.split(text) if path.lower() != "none")


def local_user() -> str:
    return getpass.getuser()
