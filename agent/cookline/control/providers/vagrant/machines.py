"""Which machine of which Vagrantfile an instance is; the Vagrantfile of those that have none of their own."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cookline.control.providers.base import HostRequest
from cookline.control.stack.cookbooks import packaged_vagrant
from cookline.errors import UsageError, did_you_mean

PLATFORMS = ("debian-11", "debian-12", "debian-13")
# of a Vagrantfile that is there, and of the one that is written here
OWN = ("directory", "machine")
WRITTEN = ("platform", "box", "memory", "cpus")
SETTINGS = (*OWN, "provider", *WRITTEN)

VAGRANTFILE = """\
# Written by cookline; made anew with each machine.
require "json"
require {library}

Vagrant.configure("2") do |config|
  machines = Cookline::Machines.new(config, __dir__)
  known = JSON.parse(File.read(File.join(__dir__, "machines.json")))
  known.each {{ |name, machine| machines.define(name, machine["settings"]) if machine["directory"] == __dir__ }}
end
"""


@dataclass(frozen=True)
class Machine:
    """One machine: its `name` in the Vagrantfile of `directory`; `provider` is Vagrant's word for it, or nothing.

    `settings` are platform, box, memory in MB and cpus, for a Vagrantfile that is written here.
    """

    instance: str
    directory: Path
    name: str
    provider: str
    settings: dict[str, Any]


class Machines:
    """The machines of one project, kept in `directory`; paths in settings are relative to `project`."""

    def __init__(self, directory: Path, project: Path) -> None:
        self.directory, self.project = directory, project
        self._file = directory / "machines.json"

    def asked(self, request: HostRequest) -> Machine:
        """The machine that the settings of an instance mean. Raises UsageError."""
        settings = dict(request.settings)
        for key in settings:
            if key not in SETTINGS:
                near = did_you_mean(key, SETTINGS)
                raise UsageError(f"{request.name}: the vagrant provider has no setting {key!r}{near}", hint=_HINT)
        provider = str(settings.pop("provider", ""))
        if "directory" in settings:
            return self._of_a_vagrantfile(request.name, settings, provider)
        if "machine" in settings:
            raise UsageError(f"{request.name}: `machine` is a name in a Vagrantfile, and there is no `directory`", hint=_HINT)
        platform = str(settings.get("platform", "debian-12"))
        if "box" not in settings and platform not in PLATFORMS:
            near = did_you_mean(platform, PLATFORMS) or f"; there are {', '.join(PLATFORMS)}"
            raise UsageError(f"{request.name}: there is no box for {platform!r}{near}", hint="settings: {box: NAME}")
        return Machine(request.name, self.directory.resolve(), request.name, provider, settings)

    def _of_a_vagrantfile(self, instance: str, settings: dict[str, Any], provider: str) -> Machine:
        directory = (self.project / str(settings["directory"])).resolve()
        if not (directory / "Vagrantfile").is_file():
            raise UsageError(f"{instance}: there is no {directory}/Vagrantfile", hint="settings: {directory: PATH}")
        for key in ("box", "memory", "cpus"):
            if key in settings:
                raise UsageError(f"{instance}: `{key}` is a matter of {directory}/Vagrantfile", hint=_HINT)
        return Machine(instance, directory, str(settings.get("machine", instance)), provider, {})

    def known(self, instance: str) -> Machine | None:
        """The machine that was brought up for an instance."""
        found = self._all().get(instance)
        return Machine(**{**found, "directory": Path(found["directory"])}) if found else None

    def keep(self, machines: list[Machine]) -> None:
        """Before they are brought up: from now on they are known, and the Vagrantfile has them."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        more = {machine.instance: {**asdict(machine), "directory": str(machine.directory)} for machine in machines}
        self._write({**self._all(), **more})
        library = packaged_vagrant() / "cookline"
        (self.directory / "Vagrantfile").write_text(VAGRANTFILE.format(library=json.dumps(str(library))))

    def forget(self, machines: list[Machine]) -> None:
        """After they were destroyed. With the last one goes all that Vagrant keeps of them."""
        gone = {machine.instance for machine in machines}
        left = {name: each for name, each in self._all().items() if name not in gone}
        if left:
            self._write(left)
        else:
            shutil.rmtree(self.directory)

    def _all(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def _write(self, known: dict[str, Any]) -> None:
        staged = self._file.with_suffix(".new")
        staged.write_text(json.dumps(known, indent=1) + "\n")
        staged.replace(self._file)


_HINT = f"settings: {', '.join(OWN)} of a Vagrantfile that is there, or {', '.join(WRITTEN)}; and provider"
