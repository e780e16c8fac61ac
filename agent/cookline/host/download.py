"""Brings one file from a server to a private place on this host; goes on where an earlier try was cut off."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Dict, Mapping, Optional

from cookline.host import fetching
from cookline.host.fetching import FetchError, Proxy
from cookline.host.paths import STATE_DIRECTORY, read_private, write_private
from cookline.protocol import content_hash

# root, 0700: what is half there, and what servers said of what is there.
DIRECTORY = STATE_DIRECTORY + "/remote"
PIECE = 1 << 20
# Tries at one address whose connection breaks; each goes on where the last one ended.
TRIES = 3

Headers = Mapping[str, str]


class Download:
    """What is known of the file at `path` of this host, and what comes for it."""

    def __init__(
        self,
        path: str,
        headers: Headers,
        *,
        max_bytes: int,
        timeout: Optional[float] = None,
        ca: Optional[str] = None,
        proxy: Optional[Proxy] = None,
    ) -> None:
        self.headers, self.max_bytes, self.timeout, self.ca, self.proxy = dict(headers), max_bytes, timeout, ca, proxy
        self.base = f"{DIRECTORY}/{content_hash(path.encode())[:32]}"
        self.partial = self.base + ".partial"

    # -- what stands -------------------------------------------------------------------------------------------------------

    def known(self) -> Dict[str, Any]:
        """{"url", "etag", "modified", "sha256"} of the last download to this path; empty when there was none."""
        return read_private(self.base + ".json")

    def remember(self, source: Mapping[str, Any], sha256: str) -> None:
        write_private(self.base + ".json", json.dumps({**source, "sha256": sha256}).encode())

    def forget(self) -> None:
        for suffix in (".json", ".partial", ".partial.json"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.base + suffix)

    def is_served(self, url: str, sha256: str, note: bool) -> bool:
        """Whether the server still has what this host has. Raises FetchError.

        It is asked by ETag and date when it gave them; else all that it serves is read and compared, and with `note` what the
        server says of it is kept for the next time.
        """
        known = self.known()
        asked = {}
        if known.get("url") == url and known.get("sha256") == sha256:
            pairs = (("If-None-Match", known.get("etag")), ("If-Modified-Since", known.get("modified")))
            asked = {name: value for name, value in pairs if value}
        with self._get(url, asked) as answer:
            if answer.status == 304 or asked:
                return bool(answer.status == 304)
            import hashlib

            digest = hashlib.sha256()
            for piece in iter(lambda: answer.read(PIECE), b""):
                digest.update(piece)
            same = digest.hexdigest() == sha256
            if same and note:
                os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
                self.remember(_source(url, answer), sha256)
            return same

    # -- fetching ----------------------------------------------------------------------------------------------------------

    def fetch(self, url: str) -> Dict[str, Any]:
        """Fill `partial` from the address and return {"url", "etag", "modified"}. Raises FetchError."""
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        for attempt in range(TRIES):
            try:
                return self._fetch(url)
            except FetchError:
                # what has come is worth another try
                if attempt == TRIES - 1 or not self._size():
                    raise
        raise AssertionError("unreachable")

    def _fetch(self, url: str) -> Dict[str, Any]:
        size, begun = self._size(), read_private(self.partial + ".json")
        asked = {}
        if size and begun.get("url") == url and (begun.get("etag") or begun.get("modified")):
            asked = {"Range": f"bytes={size}-", "If-Range": begun.get("etag") or begun["modified"]}
        with self._get(url, asked) as answer:
            if answer.status in (200, 206) and (answer.status == 200 or _continues(answer.getheader("Content-Range"), size)):
                source = _source(url, answer)
                if answer.status == 200:
                    self.drop()
                    write_private(self.partial + ".json", json.dumps(source).encode())
                self._fill(url, answer)
                return source
        if not asked:
            raise FetchError(f"{fetching.shown(url)} answered {answer.status} to a plain request")
        self.drop()  # it has become another file since
        return self._fetch(url)

    def _fill(self, url: str, answer: Any) -> None:
        announced = answer.length
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW
        with open(os.open(self.partial, flags, 0o600), "ab") as file:
            size, begin = file.tell(), file.tell()
            for piece in iter(lambda: answer.read(PIECE), b""):
                size += len(piece)
                if size > self.max_bytes:
                    break
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if size > self.max_bytes:
            self.drop()
            raise FetchError(f"{fetching.shown(url)} is larger than {self.max_bytes} bytes", hint="raise `max_bytes` if it may")
        if announced is not None and size - begin < announced:
            raise FetchError(f"{fetching.shown(url)} ended after {size} bytes of {begin + announced}")

    def drop(self) -> None:
        """Forget what is half there."""
        for path in (self.partial, self.partial + ".json"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _size(self) -> int:
        try:
            return os.stat(self.partial).st_size
        except FileNotFoundError:
            return 0

    def _get(self, url: str, asked: Headers) -> Any:
        return fetching.get(url, {**self.headers, **asked}, timeout=self.timeout, ca=self.ca, proxy=self.proxy)


def _source(url: str, answer: Any) -> Dict[str, Any]:
    return {"url": url, "etag": _strong(answer.getheader("ETag")), "modified": answer.getheader("Last-Modified")}


def _strong(etag: Optional[str]) -> Optional[str]:
    """An ETag that stands for the same bytes; a weak one does not (RFC 9110, section 8.8.1)."""
    return None if etag is None or etag.startswith("W/") else etag


def _continues(content_range: Optional[str], size: int) -> bool:
    return (content_range or "").startswith(f"bytes {size}-")


def file_hash(path: str) -> str:
    """sha256 of a file's content, read in pieces."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()
