"""Kinds that are one file in the end, under a name of their own: SystemdUnit and Cron."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from cookline.host.resources.base import Changes, Resource, State
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.system import System


class FileBacked(Resource):
    """Answers as the file that `file()` returns."""

    needs_services = False

    def file(self) -> ManagedFile:
        raise NotImplementedError

    def current(self, host: System) -> State:
        return self.file().current(host)

    def desired(self) -> State:
        return self.file().desired()

    def apply(self, host: System, changes: Changes) -> None:
        self.file().apply(host, changes)

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        return self.file().diff(host, changes)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The file comes back as it was, or goes when it was not there."""
        return self.file().inverse(host, changes)

    def below(self) -> Optional[str]:
        return self.file().path

    def watched_paths(self) -> List[str]:
        return self.file().watched_paths()

    def declaration(self) -> Dict[str, Any]:
        return self.file().declaration()

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> Any:
        return ManagedFile.from_declaration(fields)
