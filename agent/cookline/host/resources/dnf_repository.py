"""DnfRepository: a place that dnf gets packages from."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Sequence, Union

from cookline.errors import ResourceError, ResourceUsageError, RunError
from cookline.host import dnf
from cookline.host.resources.base import Changes, field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.system import System

DIRECTORY = "/etc/yum.repos.d"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
Words = Union[str, Sequence[str]]


class DnfRepository(FileBacked):
    """A repository in /etc/yum.repos.d/NAME.repo, for the RHEL family.

    repository      its id: letters, digits, . _ : and -
    baseurl         one or several addresses; or give
    mirrorlist, metalink    the address of a list of mirrors
    title           what people read; the id by default
    gpgkey          addresses of the keys that sign the packages: https://.. or file:///etc/pki/rpm-gpg/..
    gpgcheck        False takes packages that nobody signed; better not
    enabled         False keeps it for `dnf --enablerepo`
    options         further settings of dnf.conf(5), as {"priority": 10}
    exists          False removes the file

    When it changes, its metadata are read at once (`dnf makecache` of this repository alone); if that fails, what stood there
    before stays.

    >>> print(DnfRepository("shop", "https://example.org/rpm", gpgkey="https://example.org/key").text())
    # the repository shop, written by cookline
    [shop]
    name = shop
    baseurl = https://example.org/rpm
    gpgkey = https://example.org/key
    gpgcheck = 1
    enabled = 1
    <BLANKLINE>
    """

    repository: str
    baseurl: Words = ()
    mirrorlist: Optional[str] = field(default=None, kw_only=True)
    metalink: Optional[str] = field(default=None, kw_only=True)
    title: Optional[str] = field(default=None, kw_only=True)
    gpgkey: Words = field(default=(), kw_only=True)
    gpgcheck: bool = field(default=True, kw_only=True)
    enabled: bool = field(default=True, kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.repository, str) or not NAME.fullmatch(self.repository):
            raise ResourceUsageError(f"DnfRepository needs an id of letters, digits, . _ : and -, not {self.repository!r}")
        for name in ("baseurl", "gpgkey"):
            value = getattr(self, name)
            self._set(**{name: tuple(value.split()) if isinstance(value, str) else tuple(value)})
        if self.exists and not (self.baseurl or self.mirrorlist or self.metalink):
            raise ResourceUsageError(f"{self.name} needs a baseurl, a mirrorlist or a metalink")
        for value in (*self.baseurl, *self.gpgkey, self.mirrorlist, self.metalink, self.title, *self.options.values()):
            if "\n" in str(value):
                raise ResourceUsageError(f"{self.name} has {value!r}, which is not one line")

    def text(self) -> str:
        """The file as it is written."""
        settings = {
            "name": self.title or self.repository,
            "baseurl": " ".join(self.baseurl),
            "mirrorlist": self.mirrorlist,
            "metalink": self.metalink,
            "gpgkey": " ".join(self.gpgkey),
            "gpgcheck": int(self.gpgcheck),
            "enabled": int(self.enabled),
            **{name: int(value) if isinstance(value, bool) else value for name, value in self.options.items()},
        }
        lines = [f"{name} = {value}" for name, value in settings.items() if value not in (None, "")]
        return "\n".join([f"# the repository {self.repository}, written by cookline", f"[{self.repository}]", *lines, ""])

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/{self.repository}.repo"
        if not self.exists:
            return File(path, exists=False)
        return File(path, self.text(), mode="0644", owner="root", group="root", sensitive=self.sensitive)

    def apply(self, host: System, changes: Changes) -> None:
        if host.status(dnf.PROGRAM) is None:
            raise ResourceError("this host has no dnf", hint="see AptRepository for Debian and Ubuntu")
        if self.exists and self.enabled and host.apply and "content" in changes:
            self._try_out(host)
        super().apply(host, changes)

    def _try_out(self, host: System) -> None:
        """Read the metadata, by a copy of the file in another place: the file itself says that they have been read."""
        directory = host.scratch("/run/cookline-dnf-")
        host.make_directory(directory)
        try:
            host.write(f"{directory}/{self.repository}.repo", self.text().encode())
            words = ["makecache", f"--repo={self.repository}", f"--setopt=reposdir={directory}"]
            # the host's dnf may pass over what it cannot read
            words.append(f"--setopt={self.repository}.skip_if_unavailable=0")
            dnf.check(dnf.run(host, words, self.timeout))
        except RunError as error:
            message = f"the repository {self.repository!r} cannot be read and is not used:\n{error.message}"
            raise ResourceError(message) from None
        finally:
            host.remove_tree(directory)
