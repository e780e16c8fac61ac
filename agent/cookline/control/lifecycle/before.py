"""What an instance had before a command: the earlier commands that its next run would have to repeat to be there again.

Not `the release before the current one`: a deploy that failed before it switched has made none, and the settings and recipes of
the revision belong to what was there as well. So going back is the same event again as it was when it last went well, of the
revision and with the attributes of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cookline.control.lifecycle.command import Command

if TYPE_CHECKING:
    from cookline.control.lifecycle.requests import Revisions
    from cookline.control.store.runs import CommandRecord, RunRecord
    from cookline.control.store.store import Store

# Runs of an instance that are looked through, the newest first; releases are kept for five deployments.
LOOKED_BACK = 200


class Before:
    def __init__(self, store: Store, revisions: Revisions) -> None:
        self._store, self._revisions = store, revisions

    def of(self, run: RunRecord, command: Command) -> list[Mapping[str, Any]]:
        """RunRecord.back_to of each run that is needed: {"command": id, "apps": names}. Empty when nothing is known."""
        earlier = [each for each in self._good(run) if each.command_id < run.command_id]
        if run.event == "deploy":
            return self._deployed(earlier, command)
        last = next((each for each in reversed(earlier) if each.event == run.event), None)
        return [{"command": _source(last), "apps": list(command.apps)}] if last is not None else []

    def _good(self, run: RunRecord) -> list[RunRecord]:
        """What went well on the instance, oldest first."""
        runs = self._store.runs.of_instance(run.instance_id, LOOKED_BACK)
        return [each for each in reversed(runs) if each.apply and each.outcome == "successful"]

    def _deployed(self, earlier: Iterable[RunRecord], command: Command) -> list[Mapping[str, Any]]:
        releases: dict[str, list[str]] = {app: [] for app in command.apps}
        for run in earlier:
            record = self._store.runs.command(run.command_id)
            for app in command.apps:
                self._replay(releases[app], app, run, record)
        found: dict[str, list[str]] = {}
        for app, commands in releases.items():
            if commands:
                found.setdefault(commands[-1], []).append(app)
        return [{"command": source, "apps": apps} for source, apps in found.items()]

    def _replay(self, releases: list[str], app: str, run: RunRecord, record: CommandRecord) -> None:
        """Bring the list of an app's releases, each by the command that made it, past one run."""
        apps = (run.back_to or {}).get("apps") or record.options["command"].get("apps") or [app]
        if run.event == "setup" or (run.event == "deploy" and app in apps and record.kind != "rollback"):
            source = _source(run)
            if releases and self._artifact(releases[-1], app) == self._artifact(source, app):
                releases.pop()
            releases.append(source)
        elif run.event == "deploy" and app in apps and len(releases) > 1:
            releases.pop()
        elif run.event == "undeploy" and app in apps:
            releases.clear()

    def _artifact(self, command_id: str, app: str) -> str | None:
        record = self._store.runs.command(command_id)
        revision = self._revisions.get(record.options["command"]["stack"], record.revision)
        return revision.trees.get(f"app:{app}")


def _source(run: RunRecord) -> str:
    return str(run.back_to["command"]) if run.back_to else run.command_id
