"""OpsWorks' rules once more, in the fewest words that tell what a command must do; written from the guide, not from plan.py.

A model of hosts with one trouble each and of commands that come one after the other. What it says of a command is compared with
what the dispatcher did: who was made to run what, how each part ended, and where everybody stands afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

# What may be wrong with a host; the first three decide how each of its runs ends.
OUTCOME = {"fails": "failed", "locked": "expired", "away": "unreachable"}
TROUBLES = ("", *OUTCOME, "does not start", "does not stop")

# Where an instance may stand between two commands, and who may be meant by which command.
DOWN = {"stopped", "start_failed", "stop_failed", "connection_lost"}
STOPPABLE = {"online", "setup_failed", "connection_lost", "stop_failed"}
REBOOTABLE = {"online", "setup_failed", "connection_lost"}

EVENT = {"run": "execute_recipes", "rollback": "deploy", "stop": "shutdown", "start": "setup"}


@dataclass
class Machine:
    """One instance and its host. `static`: nobody can power it; `left_alone`: it was stopped on purpose."""

    layer: str
    static: bool = False
    state: str = "stopped"
    left_alone: bool = False
    trouble: str = ""


@dataclass
class Foreseen:
    """What a command must do: each targeted instance's outcome by wave, and what hosts are made to run, wave by wave."""

    first: dict[str, str] = field(default_factory=dict)
    second: dict[str, str] = field(default_factory=dict)
    executed: list[set[tuple[str, str]]] = field(default_factory=lambda: [set(), set()])


class OpsWorks:
    def __init__(self, machines: dict[str, Machine]) -> None:
        self.machines = machines
        self.stack: set[str] = set()

    def online(self) -> set[str]:
        return {name for name in self.stack if self.machines[name].state == "online"}

    def command(self, kind: str, named: Collection[str] | None) -> Foreseen:
        """Carry a command out on the model."""
        foreseen, before, entered = Foreseen(), self.online(), set()
        for name in sorted(self._meant(kind, named)):
            machine = self.machines[name]
            if not self._takes_part(kind, machine, named is None):
                foreseen.first[name] = "skipped"
                continue
            was = machine.state
            foreseen.first[name] = getattr(self, f"_{EVENT.get(kind, kind)}")(name, machine, foreseen.executed[0])
            if machine.state == "online" and (kind in ("setup", "start") or was != "online"):
                entered.add(name)
        if entered or before - self.online():
            for name in self.online():
                foreseen.second[name] = self._event(name, "configure", foreseen.executed[1])
        return foreseen

    def _meant(self, kind: str, named: Collection[str] | None) -> Iterable[str]:
        """Who stands in the report of a command."""
        if named is not None:
            return named
        if kind in ("setup", "start", "stop", "shutdown"):
            return self.stack
        of_app = kind in ("deploy", "undeploy", "rollback")
        return {name for name in self.online() if not of_app or self.machines[name].layer == "app"}

    def _takes_part(self, kind: str, machine: Machine, whole: bool) -> bool:
        if kind in ("setup", "start"):
            return not (kind == "start" and machine.state == "online") and not (whole and machine.left_alone)
        if kind in ("stop", "shutdown"):
            return machine.state in STOPPABLE
        if kind == "reboot":
            return machine.state in REBOOTABLE and not machine.static
        return machine.state == "online" and (machine.layer == "app" or kind not in ("deploy", "undeploy", "rollback"))

    # -- what each does to one instance ----------------------------------------------------------------------------------

    def _event(self, name: str, event: str, executed: set[tuple[str, str]]) -> str:
        trouble = self.machines[name].trouble
        if trouble != "away":
            executed.add((name, event))
        return OUTCOME.get(trouble, "successful")

    def _setup(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        machine.left_alone = False
        if machine.state in DOWN and machine.trouble == "does not start" and not machine.static:
            machine.state = "start_failed"
            return "failed"
        outcome = self._event(name, "setup", executed)
        machine.state = {"successful": "online", "unreachable": "connection_lost"}.get(outcome, "setup_failed")
        return outcome

    def _shutdown(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        machine.left_alone = True
        outcome = self._event(name, "shutdown", executed)
        machine.state = "stopped"  # whatever the recipes did
        if machine.trouble == "does not stop" and not machine.static:
            machine.state, outcome = "stop_failed", "failed"
        return outcome

    def _reboot(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        return "successful"  # and nothing else: whoever was not set up before is not afterwards

    def _configure(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        return self._event(name, "configure", executed)

    def _deploy(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        return self._event(name, "deploy", executed)

    def _undeploy(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        return self._event(name, "undeploy", executed)

    def _execute_recipes(self, name: str, machine: Machine, executed: set[tuple[str, str]]) -> str:
        return self._event(name, "execute_recipes", executed)
