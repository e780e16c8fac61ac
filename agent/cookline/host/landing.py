"""Receives trees (the bundle, cookbooks, artifacts) on the host and puts them in place whole or not at all.

This file is also sent as text to a host that has no bundle yet, so it imports nothing but the standard library.

Below the state directory (root, 0700, files 0600):
    objects/<sha256>        every content once; trees hold hard links to it
    trees/<hash>/           one tree; `.complete` stands in it (with its manifest) when it is whole
    trees/.incoming-*/      one that is being made; removed when its landing fails or by the next collection

The conversation, when trees are missing (all that the host says is one JSON object a line):
    host        {"kind": "need", "trees": [HASH, ..]}
    controller  {"tree": HASH, "files": [[path, mode, sha256], ..]}      one line for each tree, in that order
    host        {"kind": "lacks", "files": [SHA256, ..]}
    controller  {"sizes": [BYTES, ..]}                                    in the order of `files`, then the raw bytes, too
or, from the host, at any point: {"kind": "refused", "reason": REASON, "error": SENTENCE} and nothing more.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Sequence, Set, Tuple

# A list of 3000 hashes is 200 KB, below the protocol's limit of a line.
MAX_FILES = 3000
MAX_TREE_BYTES = 2 * 1024**3
MAX_PATH_BYTES = 512
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
# Kept free beside what is received, so that the run can still write its journal.
SPARE_BYTES = 4 * 1024 * 1024
HEXADECIMAL = frozenset("0123456789abcdef")
REASONS = {
    errno.ENOSPC: "space",
    errno.EDQUOT: "space",
    errno.EROFS: "readonly",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
}

ReadLine = Callable[[int], bytes]
ReadBytes = Callable[[int], bytes]
WriteMessage = Callable[[Dict[str, Any]], None]


class Refused(Exception):
    """The landing cannot go on; `reason` is space, readonly, permission, manifest, hash, protocol or io."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


def state_directory() -> str:
    return os.environ.get("COOKLINE_STATE") or "/var/lib/cookline"


def tree_directory(tree: str) -> str:
    """Where a complete tree lies."""
    return f"{state_directory()}/trees/{tree}"


def missing(trees: Iterable[str]) -> List[str]:
    """Those of `trees` that this host does not have whole. Trees that are there count as used now."""
    lacking: List[str] = []
    for tree in dict.fromkeys(trees):
        mark = tree_directory(_checked_hash(tree)) + "/.complete"
        if not os.path.exists(mark):
            lacking.append(tree)
            continue
        with contextlib.suppress(OSError):
            os.utime(mark)  # a file system that became read-only still serves runs that change nothing
    return lacking


def land(
    trees: Iterable[str],
    read_line: ReadLine,
    read_bytes: ReadBytes,
    write_message: WriteMessage,
    *,
    announced: bool = False,
    compiled: Tuple[Sequence[Sequence[Any]], int] = ((), 0),
) -> None:
    """Get what is missing of `trees` from the controller; a tree is complete and verified when this returns.

    read_line(limit)   one line with its newline        read_bytes(n)   n bytes, fewer only at the end of the stream
    write_message      sends one message at once        announced       `need` has been said already
    compiled           [path, bytes] of each compiled module that the controller has sent ahead for the one tree, and how many
                       bytes they were packed into

    A landing that fails says `refused` and raises SystemExit(1).
    """
    mask = os.umask(0o077)
    try:
        needed = list(trees) if announced else missing(trees)
        if needed:
            _Landing(read_line, read_bytes, write_message, compiled).receive(needed, announced)
    except Refused as refusal:
        _refuse(write_message, refusal.reason, refusal.error)
    except OSError as error:
        where = error.filename or state_directory()
        _refuse(write_message, REASONS.get(error.errno or 0, "io"), f"{error.strerror or error} ({where})")
    finally:
        os.umask(mask)


def _refuse(write_message: WriteMessage, reason: str, error: str) -> NoReturn:
    write_message({"kind": "refused", "reason": reason, "error": error})
    raise SystemExit(1)


class _Landing:
    """One exchange with the controller, for all the trees that are missing."""

    def __init__(
        self,
        read_line: ReadLine,
        read_bytes: ReadBytes,
        write_message: WriteMessage,
        compiled: Tuple[Sequence[Sequence[Any]], int],
    ) -> None:
        self.read_line, self.read_bytes, self.write_message = read_line, read_bytes, write_message
        self.compiled = unpacked(*compiled, read_bytes) if compiled[1] else []
        self.objects = state_directory() + "/objects"
        self.trees = state_directory() + "/trees"
        for directory in (state_directory(), self.objects, self.trees):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            os.chmod(directory, 0o700)

    def receive(self, needed: List[str], announced: bool) -> None:
        if not announced:
            self.write_message({"kind": "need", "trees": needed})
        manifests = {tree: self.manifest(tree) for tree in needed}
        wanted = dict.fromkeys(entry[2] for manifest in manifests.values() for entry in manifest)
        lacking = [content for content in wanted if not self.holds(content)]
        if len(lacking) > MAX_FILES:
            raise Refused("manifest", f"{len(lacking)} files at once; the limit is {MAX_FILES}")
        self.write_message({"kind": "lacks", "files": lacking})
        if lacking:
            self.contents(lacking)
        for tree, manifest in manifests.items():
            self.build(tree, manifest)

    def message(self, key: str) -> Dict[str, Any]:
        line = self.read_line(MAX_MANIFEST_BYTES)
        try:
            message = json.loads(line.decode())
        except ValueError:
            raise Refused("protocol", f"expected {key!r}, the controller sent {line[:80]!r}") from None
        if not isinstance(message, dict) or not isinstance(message.get(key), list):
            raise Refused("protocol", f"expected {key!r}, the controller sent {line[:80]!r}")
        return message

    def manifest(self, tree: str) -> List[List[str]]:
        message = self.message("files")
        if message.get("tree") != tree:
            raise Refused("protocol", f"asked for tree {tree[:12]}, the controller sent {str(message.get('tree'))[:12]}")
        check_manifest(message["files"])
        found = tree_hash(message["files"])
        if found != tree:
            raise Refused("hash", f"the manifest of tree {tree[:12]} hashes to {found[:12]}")
        return list(message["files"])

    def holds(self, content: str) -> bool:
        """True when the object is there and sound; a damaged one (a power cut) is removed."""
        path = f"{self.objects}/{content}"
        try:
            if file_hash(path) == content:
                return True
        except FileNotFoundError:
            return False
        os.unlink(path)
        return False

    def contents(self, lacking: Sequence[str]) -> None:
        sizes = self.message("sizes")["sizes"]
        if len(sizes) != len(lacking) or not all(type(size) is int and size >= 0 for size in sizes):
            raise Refused("protocol", "the sizes do not match the files that are lacking")
        if sum(sizes) > MAX_TREE_BYTES:
            raise Refused("manifest", f"{sum(sizes)} bytes at once; the limit is {MAX_TREE_BYTES}")
        disk = os.statvfs(self.objects)
        free = disk.f_bavail * disk.f_frsize
        if free < sum(sizes) + SPARE_BYTES:
            raise Refused("space", f"{sum(sizes) + SPARE_BYTES} bytes are needed in {self.objects}, {free} are free")
        for content, size in zip(lacking, sizes):
            self.content(content, size)

    def content(self, content: str, size: int) -> None:
        """Receive one object: staged beside its place, hashed while it arrives, renamed when it is right."""
        staged = f"{self.objects}/.incoming-{content}.{os.getpid()}"
        try:
            found = self._stage(staged, size)
            if found != content:
                raise Refused("hash", f"a file that should hash to {content[:12]} arrived as {found[:12]}")
            os.replace(staged, f"{self.objects}/{content}")
        except BaseException:
            _unlink(staged)
            raise

    def _stage(self, staged: str, size: int) -> str:
        digest, left = hashlib.sha256(), size
        with open(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600), "wb") as file:
            while left:
                piece = self.read_bytes(min(left, CHUNK_BYTES))
                if not piece:
                    raise Refused("protocol", "the stream ended in the middle of a file")
                digest.update(piece)
                file.write(piece)
                left -= len(piece)
        return digest.hexdigest()

    def build(self, tree: str, manifest: Sequence[Sequence[str]]) -> None:
        """Link the tree together beside its place, sync it, rename it. Modules that did not come compiled are when they are
        imported, and kept then."""
        incoming = f"{self.trees}/.incoming-{tree}.{os.getpid()}"
        _remove_tree(incoming)
        try:
            os.mkdir(incoming, 0o700)
            for path, _mode, content in manifest:
                os.makedirs(os.path.dirname(f"{incoming}/{path}"), mode=0o700, exist_ok=True)
                os.link(f"{self.objects}/{content}", f"{incoming}/{path}")
            self.put_compiled(incoming)
            with open(os.open(incoming + "/.complete", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(json.dumps([list(entry) for entry in manifest]).encode())
            sync(incoming)
            self._put(incoming, f"{self.trees}/{tree}")
        except BaseException:
            _remove_tree(incoming)
            raise
        sync_directory(self.trees)

    def put_compiled(self, incoming: str) -> None:
        """They belong to no manifest: another controller's Python makes others of the same modules."""
        for path, content in self.compiled:
            _checked_path(path)
            os.makedirs(os.path.dirname(f"{incoming}/{path}"), mode=0o700, exist_ok=True)
            with open(f"{incoming}/{path}", "xb") as file:
                file.write(content)

    @staticmethod
    def _put(incoming: str, place: str) -> None:
        if not os.path.exists(place + "/.complete"):
            _remove_tree(place)  # half a tree can only be left by another version of this code
        try:
            os.rename(incoming, place)
        except OSError:
            if not os.path.exists(place + "/.complete"):
                raise
            _remove_tree(incoming)  # another session was faster


def unpacked(sizes: Sequence[Sequence[Any]], packed: int, read_bytes: ReadBytes) -> List[Tuple[str, bytes]]:
    """(path, content) of the modules that came in `packed` bytes."""
    import zlib

    try:
        whole = zlib.decompress(read_bytes(packed))
    except zlib.error as error:
        raise Refused("protocol", f"the compiled modules did not arrive whole: {error}") from None
    found, begin = [], 0
    for path, size in sizes:
        found.append((path, whole[begin : begin + size]))
        begin += size
    return found


def check_manifest(files: Any) -> None:
    """Raise Refused for anything but [path, mode, sha256] entries that stay inside their tree."""
    if not isinstance(files, list) or not 0 < len(files) <= MAX_FILES:
        raise Refused("manifest", f"a tree has 1 to {MAX_FILES} files")
    seen: Set[str] = set()
    for entry in files:
        if not (isinstance(entry, list) and len(entry) == 3 and all(isinstance(part, str) for part in entry)):
            raise Refused("manifest", f"not an entry of [path, mode, sha256]: {str(entry)[:80]}")
        path, mode, content = entry
        _checked_path(path)
        if mode not in ("0644", "0755"):
            raise Refused("manifest", f"{path} has mode {mode[:12]!r}; a tree holds 0644 and 0755 alone")
        _checked_hash(content)
        if path in seen:
            raise Refused("manifest", f"{path} stands twice in the manifest")
        seen.add(path)


def _checked_path(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path or len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise Refused("manifest", f"not a path inside a tree: {path[:80]!r}")
    if parts[0].startswith((".complete", ".incoming")):
        raise Refused("manifest", f"a name that trees keep for themselves: {path[:80]!r}")


def _checked_hash(text: str) -> str:
    if len(text) != 64 or not HEXADECIMAL.issuperset(text):
        raise Refused("manifest", f"not a sha256: {text[:80]!r}")
    return text


def tree_hash(files: Sequence[Sequence[str]]) -> str:
    """The same as protocol.tree_hash, which a host without a bundle does not have."""
    text = json.dumps(sorted(list(entry) for entry in files), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            piece = file.read(CHUNK_BYTES)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)


def sync(path: str) -> None:
    """Write all of the file system that holds `path` to its disk; one call instead of an fsync for each of 200 files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        import ctypes

        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "cannot sync", path)
    except (ImportError, AttributeError):
        os.sync()
    finally:
        os.close(descriptor)


def sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_tree(path: str) -> None:
    import shutil  # with bz2 and lzma 1.4 ms, which only a landing needs

    shutil.rmtree(path, ignore_errors=True)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def standard_streams() -> "tuple[ReadLine, ReadBytes, WriteMessage]":
    """The three callables for a process that talks to its controller on standard input and output."""

    def write_message(message: Dict[str, Any]) -> None:
        sys.stdout.buffer.write((json.dumps(message, separators=(",", ":")) + "\n").encode())
        sys.stdout.buffer.flush()

    return sys.stdin.buffer.readline, sys.stdin.buffer.read, write_message
