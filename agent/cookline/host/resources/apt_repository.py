"""AptRepository: a place that apt gets packages from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from cookline.errors import ResourceError, ResourceUsageError, RunError
from cookline.host import dpkg
from cookline.host.resources.base import Changes, Resource, State, differences, field
from cookline.host.resources.file import File
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay
    from cookline.host.resources.scope import Scope

SOURCES = "/etc/apt/sources.list.d"
KEYRINGS = "/etc/apt/keyrings"
LISTS = "/var/lib/apt/lists"
ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What apt-get update reports with status 0 and yet means that a repository was not read.
NOT_READ = re.compile(
    r"^(?:E: .*|W: .*(?:Failed to fetch|GPG error|OpenPGP|not signed|NO_PUBKEY|does not have a Release file).*)$", re.MULTILINE
)
Words = Union[str, Sequence[str]]


class AptRepository(Resource):
    """A repository in /etc/apt/sources.list.d/NAME.sources (deb822), with a key that is good for it alone.

    repository      its name: letters, digits, . _ and -
    uris, suites    one or several; a suite that ends with / is a directory without components
    components      "main" by default
    types           deb, deb-src, or both
    architectures   those of the host by default
    key             the armored text of a public key, a name below `files/` of the cookbook, or the absolute path of a key that
                    a package brought; the first two are put into /etc/apt/keyrings. None: a key that apt trusts anyway
    trusted         True takes packages that nobody signed; better not
    options         further fields of sources.list(5), as {"Languages": "none"}
    key_file, key_sha256    filled in: where the key is put, and its content
    exists          False removes the file, its key, and the lists that were read from it

    When it changes, its lists are read at once (`apt-get update` of this repository alone). If that fails, what stood there
    before stays, so that a bad key or address breaks no later package work.

    >>> print(AptRepository("shop", "https://example.org/apt", "stable", key="/usr/share/keyrings/shop.gpg").text())
    # the repository shop, written by cookline
    Types: deb
    URIs: https://example.org/apt
    Suites: stable
    Components: main
    Signed-By: /usr/share/keyrings/shop.gpg
    <BLANKLINE>
    """

    repository: str
    uris: Words = ()
    suites: Words = ()
    components: Optional[Words] = field(default=None, kw_only=True)
    types: Words = field(default=("deb",), kw_only=True)
    architectures: Words = field(default=(), kw_only=True)
    key: Optional[str] = field(default=None, kw_only=True, repr=False)
    trusted: bool = field(default=False, kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    key_file: Optional[str] = field(default=None, kw_only=True, repr=False)
    key_sha256: Optional[str] = field(default=None, kw_only=True, repr=False)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.repository, str) or not NAME.fullmatch(self.repository):
            raise ResourceUsageError(f"AptRepository needs a name of letters, digits, . _ and -, not {self.repository!r}")
        for name in ("uris", "suites", "types", "architectures"):
            self._set(**{name: _words(getattr(self, name))})
        flat = [suite.endswith("/") for suite in self.suites]
        if self.exists and (not self.uris or not self.suites):
            raise ResourceUsageError(f"{self.name} needs uris and suites")
        if any(flat) and (not all(flat) or self.components):
            raise ResourceUsageError(f"{self.name}: a suite that ends with / has no components, and no other suites beside it")
        self._set(components=() if any(flat) else _words(self.components or "main"))
        for word in (*self.uris, *self.suites, *self.types, *self.architectures, *(self.components or ())):
            if re.search(r"\s", word) or not word:
                raise ResourceUsageError(f"{self.name} has {word!r}, which is not one word")
        for name, value in self.options.items():
            if not re.fullmatch(r"[A-Za-z-]+", name) or "\n" in str(value):
                raise ResourceUsageError(f"{self.name} cannot have the option {name!r}: {value!r}")
        if self.key is not None and self.key.lstrip().startswith(ARMOR):
            content = self.key.strip().encode() + b"\n"
            self._set(_key=content, key_sha256=content_hash(content), key_file=f"{KEYRINGS}/{self.repository}.asc")

    def bind(self, scope: Scope) -> Any:
        if not self.exists or self.key is None or self.key.startswith("/") or hasattr(self, "_key"):
            return self
        content = scope.file(self.key)
        suffix = "asc" if content.lstrip().startswith(ARMOR.encode()) else "gpg"
        path = f"{KEYRINGS}/{self.repository}.{suffix}"
        return self._bound(_key=content, key_sha256=content_hash(content), key_file=path)

    def text(self) -> str:
        """The file as it is written."""
        fields: Dict[str, Any] = {
            "Types": " ".join(self.types),
            "URIs": " ".join(self.uris),
            "Suites": " ".join(self.suites),
            "Components": " ".join(self.components or ()),
            "Architectures": " ".join(self.architectures),
            "Signed-By": self.key_file or self.key,
            "Trusted": "yes" if self.trusted else "",
            **self.options,
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if value]
        return "\n".join([f"# the repository {self.repository}, written by cookline", *lines, ""])

    def _files(self) -> List[Tuple[str, ManagedFile]]:
        """Name of the field and the file: the key, then what names it."""
        path = f"{SOURCES}/{self.repository}.sources"
        if not self.exists:
            keys = [f"{KEYRINGS}/{self.repository}.{suffix}" for suffix in ("asc", "gpg")]
            return [("content", File(path, exists=False)), *[("key", File(each, exists=False)) for each in keys]]
        own: Dict[str, Any] = {"mode": "0644", "owner": "root", "group": "root", "backup": False}
        files = [("content", File(path, self.text(), **own))]
        if self.key_file:
            files.insert(0, ("key", File(self.key_file, getattr(self, "_key", None), content_sha256=self.key_sha256, **own)))
        return list(files)

    def current(self, host: System) -> State:
        states = [(name, file.current(host)) for name, file in self._files()]
        return _joined(states) if self.exists else {"exists": any(state["exists"] for _, state in states)}

    def desired(self) -> State:
        return _joined([(name, file.desired()) for name, file in self._files()]) if self.exists else {"exists": False}

    def apply(self, host: System, changes: Changes) -> None:
        if host.status("/etc/apt") is None:
            raise ResourceError("this host has no apt", hint="see DnfRepository for the RHEL family")
        if not self.exists:
            self._forget_lists(host)
        elif "content" in changes or "key" in changes:
            self._try_out(host)
        self._write(host)
        host.known.pop("apt-get update", None)

    def _try_out(self, host: System) -> None:
        """Read the lists, by a copy of the file in another place: the file itself says that they have been read."""
        keys = [file for name, file in self._files() if name == "key"]
        before = [(file.path, host.read(file.path)) for file in keys]
        directory = host.scratch("/run/cookline-apt-")
        host.make_directory(directory)
        try:
            self._write(host, "key")
            copy = f"{directory}/{self.repository}.sources"
            host.write(copy, self.text().encode())
            self._read_lists(host, copy)
        except RunError:
            for path, content in before:
                host.remove(path) if content is None else host.write(path, content)
            raise
        finally:
            host.remove_tree(directory)

    def _write(self, host: System, *names: str) -> None:
        """Make the files right, or those of these fields."""
        if self.exists and self.key_file and host.status(KEYRINGS) is None:
            host.make_directory(KEYRINGS)
        for file in [file for name, file in self._files() if not names or name in names]:
            left = differences(file.current(host), file.desired())
            if left:
                file.apply(host, left)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A repository that was not there goes; of one that was changed nobody keeps key and file together."""
        new = self.exists and host.status(f"{SOURCES}/{self.repository}.sources") is None
        return AptRepository(self.repository, self.uris, exists=False) if new else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        self._write(host)

    def _read_lists(self, host: System, sources: str) -> None:
        dpkg.wait_for_locks(host)
        options = [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=-"]
        options += ["APT::Get::List-Cleanup=0", "APT::Update::Error-Mode=any"]
        words = ["apt-get", "-q", *[word for option in options for word in ("-o", option)], "update"]
        answer = host.run(words, ok=None, timeout=self.timeout or 600.0)
        troubles = [match.group().strip() for match in NOT_READ.finditer(answer.stderr)]
        if answer.status != 0 or troubles:
            message = "\n".join(troubles[:10]) or answer.stderr[-2000:]
            raise ResourceError(f"the repository {self.repository!r} cannot be read and is not used:\n{message}")

    def _forget_lists(self, host: System) -> None:
        """What apt has read from these addresses; "https://a/b_c" stands there as "a_b%5fc_..."."""
        starts = [re.sub(r"^[a-z0-9+]+:(//)?", "", uri).rstrip("/").replace("_", "%5f").replace("/", "_") for uri in self.uris]
        for name in host.listing(LISTS):
            if any(name.startswith(f"{start}_") for start in starts if start):
                host.remove(f"{LISTS}/{name}")

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        if self.sensitive or not self.exists or "content" not in changes:
            return None
        return dict(self._files())["content"].diff(host, changes)

    def watched_paths(self) -> List[str]:
        return [file.path for _, file in self._files()]

    def declaration(self) -> Dict[str, Any]:
        fields = {name: value for name, value in super().declaration().items() if name != "timeout"}
        return {**fields, "key": None if self.key_file else self.key, "options": dict(self.options)}


def _joined(states: Sequence[Tuple[str, State]]) -> State:
    """One state of both files: the fields of the key's are "key" (its content), "key: mode", ..."""
    joined: State = {}
    for name, state in states:
        prefix = "" if name == "content" else f"{name}: "
        joined.update({name if each == "content" else prefix + each: value for each, value in state.items()})
    return joined


def _words(value: Words) -> Tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(str(each) for each in value)
