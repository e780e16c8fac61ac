"""An app's source as an artifact, whatever its type; what it stood at is kept with the revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.artifact import Artifact, artifact, packed
from cookline.control.stack.revision import Fetch, local_only
from cookline.control.stack.secret_resolver import Resolver
from cookline.errors import SourceError
from cookline.protocol import canonical_json, content_hash

if TYPE_CHECKING:
    from cookline.control.stack.definition import Definition
    from cookline.control.stack.models import Source

Stood = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """What an earlier revision has of an app: its source as plain data, what that stood at, and its artifact."""

    source: Mapping[str, Any]
    stood: Stood
    read: Callable[[], Artifact]


class Fetcher:
    """Fetches sources for `freeze`. `directory` is .cookline: pinned host keys and generated secrets are there.

    kept      (stack, app) -> Kept or None: what has not moved since is not fetched again
    progress  is told what takes time
    """

    def __init__(
        self,
        directory: Path,
        *,
        kept: Callable[[str, str], Kept | None] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = Path(directory)
        self._kept = kept or (lambda stack, app: None)
        self._progress = progress or (lambda text: None)

    def __call__(self, definition: Definition, app: str, source: Source) -> tuple[Artifact, Stood]:
        """Raises SourceError, and StackError for files that no artifact can have."""
        if source.type == "local":
            return local_only(definition, app, source)
        resolver = Resolver(self.directory, base=definition.directory)
        kept = self._kept(definition.stack.name, app)
        if kept is not None and dict(kept.source) != source.plain():
            kept = None
        try:
            if source.type == "git":
                return self._git(definition, app, source, resolver, kept)
            return self._archive(app, source, resolver, kept)
        except SourceError as error:
            raise SourceError(f"app {app!r}: {masked(error.message, resolver)}", hint=error.hint) from None

    def _git(
        self, definition: Definition, app: str, source: Source, resolver: Resolver, kept: Kept | None
    ) -> tuple[Artifact, Stood]:
        from cookline.control.sources.git import Repository

        with Repository(source, resolver, base=definition.directory, known_hosts=self.directory / "known_hosts") as repository:
            reference, commit = repository.resolve()
            if kept is not None and commit is not None and kept.stood.get("commit") == commit:
                return kept.read(), kept.stood
            self._progress(f"app {app}: fetching {source.revision or 'the default branch'} of {source.url}")
            folder, commit = repository.checkout(reference)
            return artifact(folder), {"commit": commit, "revision": source.revision or reference}

    def _archive(self, app: str, source: Source, resolver: Resolver, kept: Kept | None) -> tuple[Artifact, Stood]:
        from cookline.control.sources.unpack import entries

        if kept is not None and source.sha256 is not None:
            return kept.read(), kept.stood
        if source.type == "s3":
            from cookline.control.sources import bucket

            name = f"s3://{source.bucket}/{source.key}"
            self._progress(f"app {app}: fetching {name}")
            content, stood = bucket.fetch(source, resolver)
        else:
            from cookline.control.sources import download

            assert source.url is not None
            name, stood = source.url, {}
            self._progress(f"app {app}: fetching {name}")
            content = download.fetch(source.url, user=source.user, password=resolver.resolve(source.password))
        found = content_hash(content)
        if source.sha256 is not None and found != source.sha256:
            raise SourceError(
                f"{name} has the sha256 {found}, not {source.sha256}", hint="look who changed it, then mend `sha256`"
            )
        made = packed(entries(content, name, strip=source.strip), name)
        return made, {"archive_sha256": found, **stood}


def once(fetch: Fetch) -> Fetch:
    """The same, and what is not local is fetched once only: for a process that freezes after every save."""
    fetched: dict[str, tuple[Artifact, Stood]] = {}

    def remembering(definition: Definition, app: str, source: Source) -> tuple[Artifact, Stood]:
        if source.type == "local":
            return fetch(definition, app, source)
        key = canonical_json(source.plain())
        if key not in fetched:
            fetched[key] = fetch(definition, app, source)
        return fetched[key]

    return remembering


def masked(text: str, resolver: Resolver) -> str:
    """`text` (which a server or git may have written) without the secrets that were used."""
    for value in resolver.values:
        text = text.replace(value, "*****FILTERED*****")
    return text
