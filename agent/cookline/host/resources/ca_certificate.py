"""CaCertificate: a certificate authority that all programs of the host trust."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional, Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.programs import require_program
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay
    from cookline.host.resources.scope import Scope

DIRECTORY = "/usr/local/share/ca-certificates"
TRUSTED = "/etc/ssl/certs"
PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


class CaCertificate(FileBacked):
    """A certificate in /usr/local/share/ca-certificates/NAME.crt, made known by update-ca-certificates. Programs with a store
    of their own, as Java and browsers, go by theirs.

    authority   name of the certificate and its file: letters, digits, _, . and -
    content     one certificate in PEM
    source      instead of content: a name below `files/` of this cookbook, or "cookbook:name"
    exists      False takes the trust away

    >>> CaCertificate("example", source="example-ca.pem").path
    '/usr/local/share/ca-certificates/example.crt'
    """

    authority: str
    content: Optional[str] = None
    source: Optional[str] = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.authority, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", self.authority):
            raise ResourceUsageError(f"CaCertificate needs a name of letters, digits, _, . and -, not {self.authority!r}")
        if self.exists and (self.content is None) == (self.source is None):
            raise ResourceUsageError(f"CaCertificate[{self.authority}] needs either content or source")
        if self.exists and self.content is not None:
            self._set(_content=self._checked(self.content))

    def _checked(self, content: Union[str, bytes]) -> bytes:
        """Raises ResourceUsageError for what is not one certificate: update-ca-certificates would take it all the same."""
        import binascii

        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        found = PEM.fullmatch(text.replace("\r\n", "\n"))
        try:
            if found is None or binascii.a2b_base64(found.group(1))[:1] != b"\x30":  # DER begins with a SEQUENCE
                raise ValueError
        except ValueError:
            raise ResourceUsageError(
                f"CaCertificate[{self.authority}] needs one certificate in PEM, and nothing else"
            ) from None
        return (text.strip() + "\n").encode()

    def bind(self, scope: Scope) -> Any:
        if self.exists and self.source is not None:
            return self._bound(_content=self._checked(scope.file(self.source)))
        return self

    @property
    def path(self) -> str:
        return f"{DIRECTORY}/{self.authority}.crt"

    def file(self) -> ManagedFile:
        if not self.exists:
            return File(self.path, exists=False)
        content = self.__dict__.get("_content")
        if content is None:
            raise ResourceUsageError(f"{self.name} has no content before node.ensure has bound it to its cookbook")
        return File(self.path, content, mode="0644", owner="root", group="root", sensitive=self.sensitive)

    def current(self, host: System) -> State:
        return {**self.file().current(host), "trusted": trusted(host, self.path)}

    def desired(self) -> State:
        return {**self.file().desired(), "trusted": self.exists}

    def apply(self, host: System, changes: Changes) -> None:
        require_program(host, "update-ca-certificates", "ca-certificates", self.name)
        own = {name: change for name, change in changes.items() if name != "trusted"}
        if own:
            super().apply(host, own)
        # else the links would stay, leading nowhere
        anew = [] if self.exists else ["--fresh"]
        host.run(["update-ca-certificates", *anew], timeout=self.timeout or 300.0)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The former certificate, or its absence."""
        before = host.read(self.path)
        if before is None:
            return CaCertificate(self.authority, exists=False)
        return CaCertificate(self.authority, before.decode("utf-8", "replace"))

    def predict(self, host: Overlay, changes: Changes) -> None:
        require_program(host, "update-ca-certificates", "ca-certificates", self.name)
        own = {name: change for name, change in changes.items() if name != "trusted"}
        if own:
            super().apply(host, own)
        host.settle(self.name, self.desired(), self.path)

    def declaration(self) -> Any:
        return {"authority": self.authority, "exists": self.exists, "file": super().declaration()}

    @classmethod
    def from_declaration(cls, fields: Any) -> Any:
        return _Declared(**fields["file"]) if fields["exists"] else cls(fields["authority"], exists=False)


class _Declared(ManagedFile):
    """What the drift timer looks at: the file by its hash, and whether it is trusted."""

    def current(self, host: System) -> State:
        return {**super().current(host), "trusted": trusted(host, self.path)}

    def declaration(self) -> Any:
        authority = self.path.rpartition("/")[2][: -len(".crt")]
        return {"authority": authority, "exists": True, "file": super().declaration()}


def link_of(path: str) -> str:
    """The link that update-ca-certificates makes for a certificate."""
    return f"{TRUSTED}/{path.rpartition('/')[2][: -len('.crt')]}.pem"


def trusted(host: System, path: str) -> bool:
    return host.link_target(link_of(path)) == path
