"""The ec2 provider: instances of EC2, found again by tags, waited for with an end."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.control.providers.ec2.cloud import ALIVE, Cloud
from cookline.control.providers.ec2.records import Record, Records
from cookline.control.stack.ec2_settings import problem
from cookline.errors import RunError, UsageError, did_you_mean

# An instance is running in 10 to 60 s and stopped in up to some minutes; large images take longer to answer.
MOVE_SECONDS = 600.0
ANSWER_SECONDS = 300.0
# A reboot is first seen as silence.
SILENCE_SECONDS = 60.0
# Some images print their keys within a minute of the boot, and many never do.
CONSOLE_SECONDS = 60.0
POLL_SECONDS = 2.0
# Hosts that are waited for together.
AT_ONCE = 32

HOST_KEYS = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----\s(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
HOST_KEY = re.compile(r"^(ssh-ed25519 [A-Za-z0-9+/=]{40,200})(?: |$)", re.MULTILINE)

Answers = Callable[[str, int], bool]


def answers(address: str, port: int) -> bool:
    """Whether something listens there: sshd, as far as a look from outside can tell."""
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False


class Ec2Provider:
    """`directory` is the project's `.cookline`; control/stack/ec2_settings.py has the settings of a host.

    answers  whether sshd listens at an address; None waits for nobody (poll: seconds between two looks)
    """

    name = "ec2"
    can_start = True

    def __init__(self, directory: Path, *, answers: Answers | None = answers, poll: float = POLL_SECONDS) -> None:
        self.records = Records(Path(directory).absolute() / "providers" / "ec2")
        self._answers, self._poll = answers, poll
        self._clouds: dict[tuple[str | None, str | None, str | None], Cloud] = {}

    # -- the contract --------------------------------------------------------------------------------------------------

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        records = [record for request in requests if (record := self.records.find(request.name))]
        seen = self._seen(records)
        known = {record.name: _host(record, seen.get(record.name)) for record in records}
        return [known.get(request.name, Host(request.name, "absent")) for request in requests]

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        for request in requests:
            wrong = problem(request.settings)
            if wrong:
                raise UsageError(f"{request.name} {wrong}", hint="settings of ec2 stand below the instance in the stack's file")
        records = [self._begun(request, progress) for request in requests]
        up = self._wait(records, ("running",), "running", progress)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda record: self._ready(record, up[record.name], progress), records))

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        records = self._alive(names, missing_ok=True)
        for cloud, group in self._groups(records):
            cloud.stop([_id(record) for record in group])
        for record in self._wait(records, ("stopped", "terminated"), "stopped", progress):
            progress(f"{record} is stopped")

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        records = self._alive(names)
        seen = self._seen(records)
        for cloud, group in self._groups(records):
            cloud.reboot([_id(record) for record in group])
        for record in records:
            self._until_silent(_address(record, seen.get(record.name) or {}))
            self._until_answers(record, seen.get(record.name) or {}, progress)

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        records = self._alive(names, missing_ok=True)
        for cloud, group in self._groups(records):
            cloud.terminate([_id(record) for record in group])
        self._wait(records, ("terminated", "shutting-down", "unknown"), "terminated", progress)
        for name in names:
            if self.records.find(name):
                self.records.forget(name)
                progress(f"{name} is gone")

    # -- making and finding --------------------------------------------------------------------------------------------

    def _begun(self, request: HostRequest, progress: Progress) -> Record:
        """The host's record, with the id of an instance that runs or is on its way there."""
        record = self._record(request)
        cloud = self._cloud(record)
        found = cloud.instances([record.id]).get(record.id) if record.id else cloud.of_owner(self.records.owner, record.name)
        if found is not None and _state(found) not in ALIVE:
            record, found = replace(record, id=None, made=record.made + 1), None
        self.records.save(record)
        if found is None:
            progress(f"{record.name} is made: {request.settings['image']}, {request.settings.get('type', 'the default type')}")
            record = replace(record, id=cloud.make(record.name, request.settings, self.records.owner, record.made))
        else:
            record = replace(record, id=str(found["InstanceId"]))
        self.records.save(record)
        if found is not None and _state(found) in ("stopping", "stopped"):
            self._wait([record], ("stopped",), "stopped", progress)
            progress(f"{record.name} is started")
            cloud.start([_id(record)])
        return record

    def _record(self, request: HostRequest) -> Record:
        """A host that exists stays where it is; how it is reached follows the definition."""
        settings = request.settings
        found = self.records.find(request.name)
        if found is not None and settings.get("region") not in (None, found.region):
            raise UsageError(
                f"{request.name} is in {found.region}, and its settings say {settings['region']}",
                hint="a host does not move: give the new one another name",
            )
        fresh = Record(request.name, settings.get("region"), settings.get("endpoint"), settings.get("profile"))
        user, connect = str(settings.get("user", "admin")), str(settings.get("connect", "public"))
        return replace(found or fresh, user=user, connect=connect)

    def _ready(self, record: Record, seen: Mapping[str, Any], progress: Progress) -> Host:
        self._until_answers(record, seen, progress)
        return replace(_host(record, seen), known_host=self._host_key(record))

    def _host_key(self, record: Record) -> str | None:
        """The key that the host has printed on its console while it booted: AWS passes it on, nobody between can forge it."""
        end = time.monotonic() + (CONSOLE_SECONDS if self._answers else 0.0)
        while True:
            key = host_key_of(self._cloud(record).console(_id(record)))
            if key is not None or time.monotonic() >= end:
                return key
            time.sleep(self._poll)

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _wait(
        self, records: Sequence[Record], states: Sequence[str], word: str, progress: Progress
    ) -> dict[str, Mapping[str, Any]]:
        """Until every instance is in one of the states. Raises RunError for one that ends elsewhere, or takes too long."""
        end = time.monotonic() + MOVE_SECONDS
        while True:
            seen = self._seen(records)
            waiting = [record for record in records if _state(seen.get(record.name)) not in states]
            if not waiting:
                return seen
            for record in waiting:
                # right after it was made, AWS may not know it yet
                if _state(seen.get(record.name)) in ("terminated", "shutting-down") or time.monotonic() > end:
                    raise RunError(_why(record, seen.get(record.name), word), hint="the EC2 console shows why")
            time.sleep(self._poll)

    def _until_answers(self, record: Record, seen: Mapping[str, Any], progress: Progress) -> None:
        address = _address(record, seen)
        if address is None:
            raise RunError(
                f"{record.name} has no {record.connect} address", hint="settings: {connect: private} uses the other one"
            )
        end = time.monotonic() + ANSWER_SECONDS
        while self._answers is not None and not self._answers(address, 22):
            if time.monotonic() > end:
                raise RunError(
                    f"{record.name} runs, but nothing answers at {address}, port 22",
                    hint="look at its security groups and its route: port 22 must be open to this machine",
                )
            time.sleep(self._poll)
        progress(f"{record.name} is up at {address}")

    def _until_silent(self, address: str | None) -> None:
        end = time.monotonic() + SILENCE_SECONDS
        while address and self._answers is not None and self._answers(address, 22) and time.monotonic() < end:
            time.sleep(self._poll)

    # -- AWS -----------------------------------------------------------------------------------------------------------

    def _alive(self, names: Sequence[str], *, missing_ok: bool = False) -> list[Record]:
        records = []
        for name in names:
            record = self.records.find(name)
            if record is None and not missing_ok:
                raise UsageError(f"there is no host {name!r}{did_you_mean(name, names)}", hint="create it first")
            if record is not None and record.id is None:
                # a crash between asking for it and hearing its id
                found = self._cloud(record).of_owner(self.records.owner, name)
                record = replace(record, id=str(found["InstanceId"])) if found else None
            if record is not None:
                records.append(record)
        seen = self._seen(records)
        return [record for record in records if _state(seen.get(record.name)) in ALIVE]

    def _seen(self, records: Sequence[Record]) -> dict[str, Mapping[str, Any]]:
        """host name -> what AWS says of its instance."""
        found: dict[str, Mapping[str, Any]] = {}
        for cloud, group in self._groups([record for record in records if record.id]):
            said = cloud.instances([_id(record) for record in group])
            found |= {record.name: said[_id(record)] for record in group if _id(record) in said}
        return found

    def _groups(self, records: Sequence[Record]) -> list[tuple[Cloud, list[Record]]]:
        groups: dict[int, tuple[Cloud, list[Record]]] = {}
        for record in records:
            cloud = self._cloud(record)
            groups.setdefault(id(cloud), (cloud, []))[1].append(record)
        return list(groups.values())

    def _cloud(self, record: Record) -> Cloud:
        key = (record.region, record.endpoint, record.profile)
        if key not in self._clouds:
            self._clouds[key] = Cloud(*key)
        return self._clouds[key]


def host_key_of(console: str) -> str | None:
    """ "ssh-ed25519 AAAA.." as cloud-init has printed it between its marks."""
    printed = HOST_KEYS.search(console)
    key = HOST_KEY.search(printed[1]) if printed else None
    return key[1] if key else None


def _id(record: Record) -> str:
    assert record.id is not None
    return record.id


def _state(seen: Mapping[str, Any] | None) -> str:
    return str(seen["State"]["Name"]) if seen else "unknown"


def _address(record: Record, seen: Mapping[str, Any]) -> str | None:
    public, private = seen.get("PublicIpAddress"), seen.get("PrivateIpAddress")
    chosen = private if record.connect == "private" else public
    return str(chosen) if chosen else None


def _host(record: Record, seen: Mapping[str, Any] | None) -> Host:
    state = _state(seen)
    words = {"running": "running", "pending": "running", "stopping": "stopped", "stopped": "stopped"}
    return Host(record.name, words.get(state, "absent"), address=_address(record, seen or {}), user=record.user)


def _why(record: Record, seen: Mapping[str, Any] | None, word: str) -> str:
    reason = str((seen or {}).get("StateReason", {}).get("Message") or "")
    return f"{record.name} ({record.id}) is {_state(seen)}, not {word}" + (f": {reason}" if reason else "")
