"""RemoteFile: a file that a server has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import download
from cookline.host.fetching import FetchError, Proxy, shown
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Changes, State, field
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.ownership import restore_context, uid_and_gid
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

# As much as an application's archive may unpack to.
MAX_BYTES = 4 * 1024**3
SERVED = "as served"


class RemoteFile(ManagedFile):
    """A file fetched over HTTP or HTTPS. It is whole and checked before it takes its place.

    url         http:// or https://, or a list of mirrors that are tried in their order
    sha256      of the content. A file that has it is right, and no server is asked. Without it the server is asked on each run
                whether its file is a newer one, by ETag and Last-Modified; when it gives neither, all is read and compared
    headers     sent with each request, and not to where another server redirects; never shown
    max_bytes   larger ones are refused; 4 GiB
    ca          path of a file with the certificates to trust; the system's by default
    proxy       http://HOST:PORT; the proxy variables of the environment are not read
    All other fields are ManagedFile's: mode, owner, group, verify, backup, create_if_missing, exists.

    `timeout` is how long a server may be silent.

    A download that was cut off goes on where it ended, also in the next run. A redirect from https to http is not followed.
    The drift timer asks no server: it looks whether the file is what was fetched.

    >>> RemoteFile("/opt/tool.tar.gz", "https://example.org/tool-1.2.tar.gz").desired()
    {'exists': True, 'content': 'as served'}
    """

    url: Union[str, Sequence[str]] = ()
    sha256: Optional[str] = field(default=None, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    max_bytes: int = field(default=MAX_BYTES, kw_only=True)
    ca: Optional[str] = field(default=None, kw_only=True)
    proxy: Optional[str] = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(url=(self.url,) if isinstance(self.url, str) else tuple(self.url))
        if self.exists and not self.url:
            raise ResourceUsageError(f"{self.name} needs a url")
        for url in self.url:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ResourceUsageError(f"{self.name} fetches http:// and https:// addresses, not {url!r}")
            if "@" in parts.netloc:
                raise ResourceUsageError(f"{self.name} has a password in its address; give it as `headers`")
        if self.sha256 is not None:
            if not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
                raise ResourceUsageError(f"{self.name} needs a sha256 of 64 hexadecimal digits, not {self.sha256!r}")
            self._set(sha256=self.sha256.lower(), content_sha256=self.sha256.lower())

    def _download(self) -> download.Download:
        proxy = Proxy(self.proxy) if self.proxy else None
        options: Dict[str, Any] = {"max_bytes": self.max_bytes, "timeout": self.timeout, "ca": self.ca, "proxy": proxy}
        return download.Download(self.path, self.headers, **options)

    def current(self, host: System) -> State:
        state = super().current(host)
        if self.sha256 is None and self.exists and state.get("exists") and "kind" not in state:
            state["content"] = SERVED if self.create_if_missing else self._compared(host)
        return state

    def _compared(self, host: System) -> str:
        """SERVED, or what is wrong with the file that stands there. In a plan raises CannotKnow when no server answers."""
        try:
            digest = download.file_hash(host.real_path(self.path))
        except OSError:  # in a plan, what is only planned to stand there
            return "missing"
        known = self._download().known()
        if known and known["sha256"] != digest:
            return "changed on this host"
        if known and known.get("url") not in self.url:
            return f"from {shown(str(known['url']))}"
        if getattr(self, "_offline", False) or getattr(self, "_fetched", None) == digest:
            return SERVED
        return self._ask(host, digest, known)

    def _ask(self, host: System, digest: str, known: Mapping[str, Any]) -> str:
        first = [url for url in self.url if url == known.get("url")]
        troubles = []
        with host.open_door():
            for url in [*first, *[each for each in self.url if each not in first]]:
                try:
                    return SERVED if self._download().is_served(url, digest, host.apply) else "older than what is served"
                except FetchError as error:
                    troubles.append(error.message)
        if host.apply:
            raise ResourceError("; ".join(troubles), hint="give a sha256, and a file that is right needs no server")
        raise CannotKnow("; ".join(troubles))

    def desired(self) -> State:
        state = super().desired()
        return state if not self.exists or self.sha256 is not None else {**state, "content": SERVED}

    def _write(self, host: System) -> None:
        with host.change("download", self.path):
            fetching = self._download()
            source, digest = self._fetch(fetching)
        uid, gid = uid_and_gid(host, self.owner, self.group)
        check = self._verifier(host) if self.verify else None
        host.on_scratch(fetching.partial)  # it has come whole: from here on nobody goes on with it
        host.on_scratch(fetching.partial + ".json")
        with open(fetching.partial, "rb") as content:
            host.write(self.path, content, mode=self.mode, uid=uid, gid=gid, verify=check, backup=self.backup)
        restore_context(host, host.real_path(self.path))
        with host.change("note the source of", self.path):
            fetching.remember(source, digest)
            fetching.drop()
        self._set(_fetched=digest)

    def predict(self, host: Overlay, changes: Changes) -> None:
        """The file with its mode and owner; what is in it, the server knows."""
        if not self.exists or not {"exists", "content"} & set(changes):
            super().predict(host, changes)
            return
        old = host.status(host.real_path(self.path))
        uid, gid = uid_and_gid(host, self.owner, self.group)
        kept = (old.mode, old.uid, old.gid) if old is not None else ("0644", 0, 0)
        values = {"mode": self.mode or kept[0], "uid": kept[1] if uid is None else uid, "gid": kept[2] if gid is None else gid}
        host.put_unknown(host.real_path(self.path), self.name, "file", **values)
        host.settle(self.name, self.desired(), self.path)

    def _fetch(self, fetching: download.Download) -> Tuple[Dict[str, Any], str]:
        """From the first mirror that has it. Raises ResourceError that tells what each of them answered."""
        troubles = []
        for url in self.url:
            try:
                source = fetching.fetch(url)
            except FetchError as error:
                troubles.append(str(error))
                continue
            digest = download.file_hash(fetching.partial)
            if self.sha256 in (None, digest):
                return source, digest
            fetching.drop()
            troubles.append(f"{shown(url)} has sha256 {digest}, not {self.sha256}")
        raise ResourceError("\n".join(troubles))

    def _remove(self, host: System) -> None:
        super()._remove(host)
        with host.change("forget the source of", self.path):
            self._download().forget()

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        """What is served is not here yet."""
        return None

    def declaration(self) -> Dict[str, Any]:
        names = ("path", "mode", "owner", "group", "create_if_missing", "exists", "sha256", "sensitive")
        return {**{name: getattr(self, name) for name in names}, "url": list(self.url)}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> Any:
        resource = cls(**fields)
        resource._set(_offline=True)
        return resource
